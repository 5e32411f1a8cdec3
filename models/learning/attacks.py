"""
Attack cells to learn from: ten families, drawn in the space of the facts that screening sees.

No estate labels its intruders, so the second channel is trained on what each family would look like in
*this* estate: replica counts and window length come from its own cells, the rest from what the family
must do to work. How well that transfers is measured leaving one family out (`models.learning.screening`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.learning.screening_features import FEATURES

if TYPE_CHECKING:
    from collections.abc import Callable

Floats = npt.NDArray[np.float64]
_Draw = dict[str, Floats | float]

#: Injected cells per family: enough for a tree's leaf, too few to outweigh an estate.
CELLS_PER_FAMILY: Final = 200


class _Dice:
    """Draws that the families share."""

    def __init__(self, rng: np.random.Generator, count: int, day_count: int) -> None:
        self.rng, self.count, self.day_count = rng, count, day_count

    def uniform(self, low: float, high: float) -> Floats:
        return self.rng.uniform(low, high, self.count)

    def days(self, low: int, high: int) -> Floats:
        top = max(low, min(high, self.day_count))
        return self.rng.integers(low, top + 1, self.count).astype(np.float64)

    def flags(self, share: float) -> Floats:
        return (self.rng.random(self.count) < share).astype(np.float64)

    def concentrated(self) -> Floats:
        """One pod of many, or a workload too small to tell."""
        return np.where(self.rng.random(self.count) < 0.6, self.uniform(0.8, 1.0), 0.5)


def _scan(d: _Dice) -> _Draw:
    return {
        "external": d.flags(0.2),
        "concentration": d.concentrated(),
        "days": d.days(1, 2),
        "fail": d.uniform(0.5, 1.0),
        "breadth": d.uniform(15, 300),
        "declared": d.flags(0.3),
    }


def _slow_scan(d: _Dice) -> _Draw:
    return {
        "external": d.flags(0.2),
        "concentration": d.concentrated(),
        "days": 1.0,
        "fail": d.uniform(0.3, 1.0),
        "breadth": d.uniform(1, 6),
        "declared": d.flags(0.3),
    }


def _lateral(d: _Dice) -> _Draw:
    return {
        "concentration": d.concentrated(),
        "days": d.days(1, 3),
        "fail": d.uniform(0.0, 0.3),
        "breadth": d.uniform(1, 8),
        "declared": d.flags(0.7),
        "popularity": d.rng.integers(0, 4, d.count).astype(np.float64),
    }


def _tunnel(d: _Dice) -> _Draw:
    return {
        "external": 1.0,
        "concentration": d.concentrated(),
        "days": d.days(1, 10),
        "named": 1.0,
        "entropy": d.uniform(3.4, 4.6),
        "nxdomain": d.uniform(0.0, 0.5),
        "upload": d.uniform(0.5, 2.0),
    }


def _generated(d: _Dice) -> _Draw:
    return {
        "external": 1.0,
        "concentration": d.concentrated(),
        "days": d.days(1, 3),
        "named": 1.0,
        "entropy": d.uniform(2.9, 3.8),
        "nxdomain": d.uniform(0.2, 1.0),
    }


def _beacon(d: _Dice) -> _Draw:
    return {
        "external": 1.0,
        "concentration": d.concentrated(),
        "days": d.days(1, 14),
        "named": d.flags(0.7),
        "regularity": d.uniform(0.7, 1.0),
        "upload": d.uniform(-0.5, 1.5),
    }


def _saas_beacon(d: _Dice) -> _Draw:
    return _beacon(d) | {"named": 1.0, "popularity": d.rng.integers(1, 6, d.count).astype(np.float64)}


def _miner(d: _Dice) -> _Draw:
    return {
        "external": 1.0,
        "concentration": d.uniform(0.3, 1.0),
        "days": d.days(1, 10),
        "named": d.flags(0.6),
        "regularity": d.uniform(0.4, 0.9),
    }


def _debug(d: _Dice) -> _Draw:
    return {
        "external": d.flags(0.4),
        "concentration": d.concentrated(),
        "days": 1.0,
        "fail": d.uniform(0.0, 0.5),
        "breadth": d.uniform(0, 10),
        "debug": d.flags(0.8),
        "owned": d.flags(0.5),
    }


def _trojan(d: _Dice) -> _Draw:
    return {
        "external": 1.0,
        "concentration": d.uniform(0.0, 0.3),
        "days": d.days(2, 14),
        "named": 1.0,
        "deploy_adjacent": d.flags(0.9),
    }


#: The families in the order in which they are drawn.
FAMILIES: Final[dict[str, Callable[[_Dice], _Draw]]] = {
    "horizontal_scan": _scan,
    "slow_scan": _slow_scan,
    "lateral_movement": _lateral,
    "dns_tunnel": _tunnel,
    "generated_domains": _generated,
    "beacon": _beacon,
    "saas_beacon": _saas_beacon,
    "miner": _miner,
    "debug": _debug,
    "trojaned_image": _trojan,
}

#: What a fact is where a family does not say.
_DEFAULTS: Final = {"breadth": 0.0, "popularity": 0.0, "declared": 0.0, "debug": 0.0, "deploy_adjacent": 0.0}


def inject(facts: pd.DataFrame, day_count: int, seed: int, count: int = CELLS_PER_FAMILY) -> pd.DataFrame:
    """
    Attack cells for an estate.

    Parameters
    ----------
    facts
        The estate's own facts; what it cannot know (all NaN) is not known of attacks either, or the
        model would learn to tell attacks by what was measured.
    day_count
        T: longest presence an attack can have.
    seed
        Of the draws.
    count
        Cells per family.

    Returns
    -------
    pandas.DataFrame
        `FEATURES` and ``family``, ``count`` rows per family.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for family, draw in FAMILIES.items():
        dice = _Dice(rng, count, max(day_count, 1))
        drawn = {"external": 0.0, "fail": dice.uniform(0.0, 0.1), "owned": 1.0, **_DEFAULTS} | draw(dice)
        rows = pd.DataFrame(drawn, index=range(count)).reindex(columns=list(FEATURES))
        parts.append(rows.assign(family=family))
    injected = pd.concat(parts, ignore_index=True)
    injected["named"] = injected["named"].where(injected["external"] == 1.0)
    for name in FEATURES:
        if facts[name].isna().all():
            injected[name] = np.nan
    if (facts["concentration"] == 0.5).all():
        injected["concentration"] = 0.5
    return injected
