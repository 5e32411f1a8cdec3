"""
Exact minima of the objective over small candidate lattices (method, section 7), by mixed-integer programs.

Each program has the product's own candidates, prices and expectations, and searches what the product
searches greedily. It is a test oracle: beyond some two hundred candidates it would take too long.
"""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

#: Candidates beyond which the method asks no exact answer.
MAX_CANDIDATES = 200


@dataclass(frozen=True)
class Option:
    """
    A candidate: what it costs to take, what it may cover, and what each thing it covers saves.

    Parameters
    ----------
    cost
        Of taking it, in units of one line.
    covers
        Things it can stand for.
    saving
        For each thing that it stands for; 0 where a thing is merely covered.
    weight
        Of the shared budget.
    """

    cost: float
    covers: frozenset[Hashable]
    saving: float = 0.0
    weight: float = 0.0


def cheapest_cover(options: Sequence[Option], things: Collection[Hashable], budget: float = np.inf) -> float:
    """
    Least cost at which every thing is stood for by exactly one option that was taken.

    Variables are one per option (taken or not) and one per option and thing (stands for it or not).
    """
    assert len(options) <= MAX_CANDIDATES
    ordered = sorted(things, key=repr)
    pairs = [(o, t) for o, option in enumerate(options) for t in ordered if t in option.covers]
    cost = np.array([one.cost for one in options] + [-options[o].saving for o, _ in pairs])
    size, offset = len(cost), len(options)
    rows, low, high = [], [], []
    for thing in ordered:
        row = np.zeros(size)
        row[[offset + at for at, (_, t) in enumerate(pairs) if t == thing]] = 1.0
        rows, low, high = [*rows, row], [*low, 1.0], [*high, 1.0]
    for at, (o, _) in enumerate(pairs):  # an option that stands for something is taken
        row = np.zeros(size)
        row[offset + at], row[o] = 1.0, -1.0
        rows, low, high = [*rows, row], [*low, -np.inf], [*high, 0.0]
    if np.isfinite(budget):
        rows.append(np.array([one.weight for one in options] + [0.0] * len(pairs)))
        low, high = [*low, -np.inf], [*high, budget]
    found = milp(
        cost,
        constraints=LinearConstraint(csr_array(np.array(rows)), np.array(low), np.array(high)),
        integrality=np.ones(size),
        bounds=Bounds(0, 1),
    )
    assert found.success, found.message
    return float(found.fun)


def cheapest_partition(costs: Mapping[frozenset[str], float]) -> float:
    """Least cost of parts that hold every member exactly once; the parts to choose from, with their costs."""
    assert len(costs) <= MAX_CANDIDATES
    parts = list(costs)
    members = sorted(frozenset().union(*parts))
    holds = np.array([[float(member in part) for part in parts] for member in members])
    found = milp(
        np.array([costs[part] for part in parts]),
        constraints=LinearConstraint(csr_array(holds), 1.0, 1.0),
        integrality=np.ones(len(parts)),
        bounds=Bounds(0, 1),
    )
    assert found.success, found.message
    return float(found.fun)
