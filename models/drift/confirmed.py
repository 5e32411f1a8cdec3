"""
Traffic that a person confirmed as unwanted and that goes on: nothing has to be guessed about it.

It is told as suspicious whatever the estimators think of it, whether policies stop it, let it pass or even
allow it, and no change that would admit it is offered.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import pandas as pd

from models import frames
from models.domain.peer import Peer
from models.domain.workload import Workload
from models.drift.finding import Finding, Kind, Severity, Suggestion, peer_group
from models.drift.night import Scene
from models.drift.places import peer_of, port_of, ports_text, subject_of
from models.drift.suggest import Changes
from models.learning.carried import carry_verdicts, renamed
from models.learning.second_channel import UNWANTED
from models.synthesis.edges import EDGE_KEY, Edge, fold_edges

#: What else the key of such a finding is made from: other ports of the same peer are another matter.
CONFIRMED: Final = "confirmed"


@dataclass(frozen=True, slots=True)
class Word:
    """
    What a person said about a cell.

    Parameters
    ----------
    verdict
        ``admit`` or ``unwanted``.
    reviewer
        Who.
    decided_at
        When; aware, ``None`` if that is not known.
    """

    verdict: str
    reviewer: str
    decided_at: datetime | None = None

    @property
    def text(self) -> str:
        """By whom and on which day."""
        return by_whom(self.reviewer, self.decided_at)


def by_whom(reviewer: str, decided_at: datetime | None) -> str:
    """By whom something was decided, and on which day where that is known."""
    if decided_at is None:
        return f"by {reviewer}"
    day = decided_at.astimezone(UTC)
    return f"by {reviewer} on {day.day} {day:%B %Y}"


def unwanted_cells(cells: "pd.Series[str]", said: Mapping[str, Word]) -> dict[str, Word]:
    """
    Cells that were confirmed as unwanted, or that share a name with one, with who said so.

    Parameters
    ----------
    cells
        Ids of the night's cells, in any number.
    said
        By cell, at both ends of each call. What was admitted is not doubted for a name that it shares.
    """
    verdicts = pd.Series({cell: word.verdict for cell, word in said.items()}, dtype="str")
    refused = {cell: word for cell, word in said.items() if word.verdict == UNWANTED}
    if not refused:
        return {}
    known = pd.Index(sorted(set(cells)))
    holding, doubtful = carry_verdicts(verdicts, known)
    follows = renamed(refused, known)
    chosen = {*holding.index[holding == UNWANTED], *doubtful} & {*known}
    return {cell: refused.get(cell) or refused[follows[cell]] for cell in sorted(chosen)}


def confirmed_traffic(scene: Scene, words: Mapping[str, Word], changes: Changes) -> list[Finding]:
    """
    Find what goes on although a person said that it is unwanted.

    Parameters
    ----------
    scene
        The night.
    words
        `unwanted_cells` of the night.
    changes
        Knows which policies close an end; nothing is asked of it that would open one.
    """
    rows = scene.rows[scene.rows["cell"].isin(list(words))]
    if rows.empty:
        return []
    keys = list(zip(*(rows[name].tolist() for name in EDGE_KEY), strict=True))
    cell_of = dict(zip(keys, rows["cell"].tolist(), strict=True))
    allowing = dict(zip(keys, rows["part"].tolist(), strict=True))
    groups: dict[tuple[object, ...], list[Edge]] = defaultdict(list)
    owners: dict[tuple[object, ...], Workload] = {}
    for edge in fold_edges(replace(scene.night, edge_days=rows[list(frames.EDGE_DAYS)])).edges:
        workload = scene.view.workload(edge.subject)
        if workload is not None:
            peer = peer_group(peer_of(scene.view, edge))
            key = (workload.label_keys, edge.direction, peer, words[cell_of[edge[1:8]]])
            owners[key] = workload
            groups[key].append(edge)
    found = []
    for place, edges in groups.items():
        rules = [scene.parts[part] for part in sorted({allowing[edge[1:8]] for edge in edges}) if part >= 0]
        policies = {policy for edge in edges for policy in changes.selecting(edge)}
        policies |= {rule.policy for rule in rules}
        word = words[cell_of[edges[0][1:8]]]
        names = tuple(sorted(map(str, policies))), tuple(str(rule.ref()) for rule in rules)
        found.append(_finding(scene, owners[place], word, edges, names))
    return found


def _finding(
    scene: Scene,
    workload: Workload,
    word: Word,
    edges: list[Edge],
    names: tuple[tuple[str, ...], tuple[str, ...]],
) -> Finding:
    """What is said of one peer; ``names`` are those of the policies, and of the rules that allow it."""
    first = edges[0]
    policies, rules = names
    subject, peer = subject_of(workload), peer_of(scene.view, first)
    counts = {
        "forwarded": sum(edge.flows for edge in edges),
        "audited": sum(edge.audited for edge in edges),
        "denied": sum(edge.denied + edge.l7_denied for edge in edges),
    }
    passes = counts["forwarded"] + counts["audited"] > 0
    ports = tuple(sorted({port_of(edge) for edge in edges}))
    return Finding(
        kind=Kind.SUSPICIOUS,
        detector=CONFIRMED,
        severity=Severity.CRITICAL if passes else Severity.MEDIUM,
        confidence=1.0,
        subject=subject,
        direction=first.direction,
        peer=peer,
        ports=ports,
        first_us=min(edge.first_us for edge in edges),
        last_us=max(edge.last_us for edge in edges),
        flows=sum(counts.values()),
        policy=policies,
        rule=rules[0] if rules else "",
        about=CONFIRMED,
        why=f"{_call(subject.title, first.direction, peer)} on {ports_text(ports)}, which was confirmed as "
        f"unwanted {word.text}; {_goes_on(counts, rules)}.",
        suggestion=_advice(subject.title if first.direction == "egress" else peer.title, rules),
        verdicts=tuple((name, count) for name, count in sorted(counts.items()) if count),
        samples=tuple(dict.fromkeys(sample for edge in edges for sample in edge.samples))[:3],
    )


def _call(subject: str, direction: str, peer: Peer) -> str:
    return f"{subject} {'calls' if direction == 'egress' else 'is called by'} {peer.title}"


def _goes_on(counts: Mapping[str, int], rules: tuple[str, ...]) -> str:
    """Whether it still works, why, and how often it was tried."""
    calls = sum(counts.values())
    often = f"{calls} call{'' if calls == 1 else 's'} tonight"
    if counts["forwarded"] + counts["audited"] == 0:
        return f"it is still tried, {often}, and policy stopped every one"
    by_audit = f", {counts['audited']} of them let pass by audit mode only" if counts["audited"] else ""
    return f"it is still running, {often}{by_audit}" + (f", and {rules[0]} allows it" if rules else "")


def _advice(caller: str, rules: tuple[str, ...]) -> Suggestion:
    text = f"Stop it where it comes from: look into the pods of {caller}."
    if rules:
        text += f" And take it out of {rules[0]}."
    return Suggestion("investigate", text)
