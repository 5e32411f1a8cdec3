"""
Names to patterns, addresses to prefixes: what lies outside grows, and a rule may grow with it.

Each only where it pays at the exchange rates of the posture, never over something that is held back, and
with a record of what it opens. A pattern on a suffix that everybody shares is never taken: it becomes a
request to the reviewer.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Final

import pandas as pd

from models.domain.rule import Widening
from models.learning.names import NamePatterns
from models.synthesis.candidates import Candidate, Excluded
from models.synthesis.exchange import MARGIN, Exchange
from models.synthesis.growing_names import widen_names
from models.synthesis.prefixes import widen_addresses
from models.synthesis.profiles import workload_key
from models.synthesis.reasons import HELD_BACK
from models.synthesis.rotation import Seen
from models.synthesis.widened import Widened, subject_of

#: First Cilium line whose patterns may begin with ``**.``.
DEEP_WILDCARDS_SINCE: Final = (1, 19)


def _held(excluded: Sequence[Excluded], subjects: Mapping[str, set[str]], column: str) -> pd.DataFrame:
    """Names or addresses that are held back, for every subject of the workload they are held back of."""
    rows = set()
    for one in excluded:
        if one.reason not in HELD_BACK or one.workload is None:
            continue
        address = (one.edge.peer,) if one.edge.peer_kind == "ip" else ()
        texts = one.edge.names if column == "name" else address
        for subject in subjects.get(workload_key(one.workload), ()):
            rows |= {(subject, text) for text in texts}
    return pd.DataFrame(sorted(rows), columns=["subject", column])


def widen_outside(
    candidates: Sequence[Candidate],
    excluded: Sequence[Excluded],
    *,
    window: Seen,
    rates: Exchange,
    version: tuple[int, int] | None,
    previous: Mapping[str, tuple[str, ...]],
    stricter: bool = False,
) -> tuple[list[Candidate], dict[str, tuple[str, ...]]]:
    """
    Widen the outside peers of candidates where that pays.

    Parameters
    ----------
    candidates, excluded
        All of a run.
    window
        When it was seen.
    rates
        Exchange rates of the posture.
    version
        Cilium's of the cluster; ``None`` when unknown.
    previous
        Patterns of last night by subject.
    stricter
        The posture is stricter than last night's: a pattern is kept only at a price that tonight's pays, as a
        role is.

    Returns
    -------
    tuple
        The candidates in their order, and tonight's patterns by subject.
    """
    egress = [
        one for one in candidates if one.direction == "egress" and one.target.outside and not one.target.dns
    ]
    subjects: dict[str, set[str]] = defaultdict(set)
    for one in egress:
        subjects[workload_key(one.workload)].add(subject_of(one))
    found: dict[str, Widened] = defaultdict(Widened)
    deep = version is not None and version >= DEEP_WILDCARDS_SINCE
    names = NamePatterns(mu=rates.mu_outside, lam=rates.lam_names, deep_wildcards=deep)
    known = widen_names(found, names, egress, _held(excluded, subjects, "name"), window)
    known.keep(found, previous, MARGIN if stricter else inf)
    known.ask(found)
    patterns = {
        subject: tuple(sorted(peer.title for peer in one.records))
        for subject, one in sorted(found.items())
        if one.records
    }
    widen_addresses(found, rates, egress, _held(excluded, subjects, "address"), window)
    return [_applied(one, found) for one in candidates], patterns


def _applied(candidate: Candidate, found: Mapping[str, Widened]) -> Candidate:
    """The candidate with its wider peers, its records and its requests."""
    mine = found.get(subject_of(candidate))
    target = candidate.target
    if mine is None or not target.outside or target.dns:
        return candidate
    peers = tuple(dict.fromkeys(mine.peers.get(peer, peer) for peer in target.peers))
    asked = sorted({mine.requests[peer] for peer in target.peers if peer in mine.requests})
    remarks = sorted({mine.remarks[peer] for peer in target.peers if peer in mine.remarks})
    if peers == target.peers and not asked and not remarks:
        return candidate
    records = tuple(sorted(mine.records[peer] for peer in peers if peer in mine.records))
    flags = {*target.flags, *({"generalised"} if records else ()), *({"wildcard_request"} if asked else ())}
    if records:
        flags -= {"many_addresses"}
    said = (_sentence(one, _is_kept(one, mine)) for one in records)
    reasons = (*target.reasons, *asked, *remarks, *said)
    target = replace(target, peers=peers, flags=tuple(sorted(flags)), reasons=reasons, widening=records)
    return Candidate(candidate.workload, candidate.direction, target, candidate.edges)


def _is_kept(record: Widening, mine: Widened) -> bool:
    return any(mine.records[peer] == record for peer in mine.kept)


def _sentence(record: Widening, kept: bool) -> str:
    if kept:
        return (
            f"{record.what} stands for {record.covers} names and is kept from the night before, although it "
            f"would not be proposed anew ({record.change:+.2f} in the objective)."
        )
    if record.kind == "pattern":
        return (
            f"{record.what} stands for {record.covers} names: new ones keep appearing under it "
            f"({record.change:+.2f} in the objective)."
        )
    return (
        f"{record.what} stands for {record.covers} addresses and adds {record.unseen:,} that nobody was seen "
        f"at ({record.change:+.2f} in the objective)."
    )
