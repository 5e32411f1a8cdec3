"""What changes from one quiet night to the next although nothing in the cluster did."""

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any, Final

import pandas as pd

from jobs.evaluation.counts import Measured
from jobs.evaluation.occurrences import NO_ADDRESS, occurrences
from jobs.evaluation.proposers import Proposer
from jobs.evaluation.render import observe
from jobs.evaluation.rulebook import RuleBook, places
from jobs.evaluation.world import World
from models.domain.capabilities import CapabilityHints
from models.synthesis.view import Posture

#: Consecutive nights that are compared (method, section 11).
NIGHTS: Final = 7
WINDOW_DAYS: Final = 14
#: Days of a window that grows by one more, a night each: target and floor of the time to stable.
GROWN_DAYS: Final = (14, 21)

Support = dict[str, frozenset[tuple[int, int]]]


def measure_stability(
    world: World, proposer: Proposer, posture: Posture, hints: CapabilityHints, nights: int = NIGHTS
) -> Measured:
    """
    Learn on a window that moves by a day a night, and count what flips.

    ``rule_changes``: rules that came or went, of all. ``unchanged_flips``: those among them whose
    observed edges were the same on both nights, of all such rules. ``pair_flips``: pairs of workloads
    that share a proposal on one night only, both being there on both nights.
    """
    measured = Measured()
    before: tuple[RuleBook, pd.DataFrame] | None = None
    for night in range(nights + 1):
        proposed = proposer(observe(world, night, night + WINDOW_DAYS), posture, hints)
        now = (RuleBook(world, proposed.forms), _window(world, night))
        if before is not None:
            _compare(measured, before, now)
        before = now
    return measured


def measure_settling(
    world: World, proposers: Callable[[], Proposer], posture: Posture, hints: CapabilityHints
) -> Measured:
    """
    Learn on a window that grows from its first day, as after the installation, and count what changes.

    ``settling``, by days of the window: rules that came or went with one day more, of all.

    Parameters
    ----------
    world
        Without releases, incidents and attacks.
    proposers
        Makes one that has no memory yet.
    """
    measured = Measured()
    for days in GROWN_DAYS:
        proposer = proposers()
        old, new = (
            _ids(proposer(observe(world, 0, until), posture, hints).forms) for until in (days, days + 1)
        )
        measured.add("settling", len(old ^ new), len(old | new), str(days))
    return measured


def _window(world: World, night: int) -> pd.DataFrame:
    uses = occurrences(world, night, night + WINDOW_DAYS, observed=True)
    return uses.drop_duplicates(["link", "client_set", "server_set", "address"])


def _compare(
    measured: Measured, before: tuple[RuleBook, pd.DataFrame], now: tuple[RuleBook, pd.DataFrame]
) -> None:
    old, new = _ids(before[0].forms), _ids(now[0].forms)
    measured.add("rule_changes", len(old ^ new), len(old | new))
    flipped = steady = 0
    for book, other in ((before[0], new), (now[0], old)):
        then, later = _support(book, before[1]), _support(book, now[1])
        unchanged = [one for one in then if then[one] == later.get(one)]
        steady += len(unchanged)
        flipped += sum(one not in other for one in unchanged)
    measured.add("unchanged_flips", flipped, steady)
    there = _workloads(before[0].forms) & _workloads(now[0].forms)
    pairs, newer = _pairs(before[0].forms, there), _pairs(now[0].forms, there)
    measured.add("pair_flips", len(pairs ^ newer), len(pairs | newer))


def _ids(forms: tuple[Mapping[str, Any], ...]) -> frozenset[str]:
    return frozenset(str(rule["id"]) for form in forms for rule in form["rules"])


def _support(book: RuleBook, uses: pd.DataFrame) -> Support:
    """Observed cells behind each rule."""
    found: dict[str, set[tuple[int, int]]] = {}
    for row in uses.itertuples(index=False):
        cell = (int(str(row.link)), int(str(row.address)) if row.address != NO_ADDRESS else NO_ADDRESS)
        for place in places(row):
            for rule in book.rules(place):
                found.setdefault(str(rule["id"]), set()).add(cell)
    return {rule: frozenset(cells) for rule, cells in found.items()}


def _workloads(forms: tuple[Mapping[str, Any], ...]) -> frozenset[str]:
    return frozenset(f"{form['namespace']}/{one}" for form in forms for one in form["subject"]["workloads"])


def _pairs(forms: tuple[Mapping[str, Any], ...], there: frozenset[str]) -> frozenset[tuple[str, str]]:
    """Pairs that share a proposal; one who came or went has flipped with nobody."""
    named = ([f"{form['namespace']}/{one}" for one in form["subject"]["workloads"]] for form in forms)
    return frozenset(pair for names in named for pair in combinations(sorted(there.intersection(names)), 2))
