"""
What changes between two policy sets for the traffic that was seen, and beside it.

Line by line: who is denied or allowed now, by which rule before and after, how much of it there was. What
no traffic touched is looked for with edges made from the rules themselves
(`models.simulation.diff.probe_flows`).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from models.domain.agent import AgentConfig
from models.domain.labels import LabelSet
from models.domain.policy import PolicySet
from models.simulation.context import PolicyFlow, Side
from models.simulation.decision import Verdict
from models.simulation.diff import EVERY_PORT, STRANGER_KEY, compare_policies, probe_flows
from models.simulation.edges import EdgeTable
from models.simulation.seen import Answer, SeenWindow
from models.simulation.shown import shown_labels, shown_side

#: Probes of one comparison: about ten seconds. Two large clusters differ in more places than anyone reads.
MAX_PROBES: Final = 200_000

#: (namespace, workload, direction, peer, port, request, legitimacy, before, after, rule before, rule after)
_Key = tuple[str, str, str, str, str, str, str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class ChangedLine:
    """
    Traffic that two policy sets treat differently.

    Parameters
    ----------
    namespace, workload, direction, peer, port, request
        As in `models.simulation.backtest.ReplayLine`.
    legitimacy
        ``legitimate``, ``unanswered``, ``suspicious``; of single flows also ``denied`` (policy stops it
        today) and ``unseen`` for a probe.
    before, after
        Verdicts.
    rule_before, rule_after
        Places of the deciding rules; empty where none decides.
    flows
        Seen in all; 0 for a probe.
    days
        Flows by day, where the records say it.
    """

    namespace: str
    workload: str
    direction: str
    peer: str
    port: str
    request: str
    legitimacy: str
    before: str
    after: str
    rule_before: str
    rule_after: str
    flows: int
    days: tuple[tuple[str, int], ...] = ()

    @property
    def breaks(self) -> bool:
        """Works today, and the new set denies it."""
        return self.after == Verdict.DENY and self.legitimacy == "legitimate"

    def to_json(self) -> dict[str, Any]:
        """Form of the API."""
        names = (
            "namespace", "workload", "direction", "peer", "port", "request", "legitimacy",
            "before", "after", "rule_before", "rule_after", "flows",
        )  # fmt: skip
        days = [{"day": day, "flows": flows} for day, flows in self.days]
        return {name: getattr(self, name) for name in names} | {"days": days}


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    What changes from one policy set to another.

    Parameters
    ----------
    compared
        Edges and requests, or flows, that both sets were asked about.
    changed
        Of those, the ones with another verdict.
    lines
        What changes for traffic that was seen: newly denied legitimate traffic first, then by flows.
    unseen
        Changes that no traffic touched, one line per pair of rules and ports.
    probes_left_out
        Probes beyond `MAX_PROBES` that were not asked.
    """

    compared: int
    changed: int
    lines: tuple[ChangedLine, ...]
    unseen: tuple[ChangedLine, ...] = ()
    probes_left_out: int = 0

    def count(self, after: Verdict, *, seen: bool = True) -> int:
        """Lines that end in a verdict."""
        return sum(line.after == after for line in (self.lines if seen else self.unseen))

    @property
    def breaks(self) -> int:
        """Lines of traffic that works today and that the new set denies."""
        return sum(line.breaks for line in self.lines)

    def to_json(self, limit: int | None = None) -> dict[str, Any]:
        """Form of the API; the counts are exact whatever is listed."""
        return {
            "compared": self.compared,
            "changed": self.changed,
            "newly_denied": self.count(Verdict.DENY),
            "newly_denied_legitimate": self.breaks,
            "newly_allowed": self.count(Verdict.ALLOW),
            "no_longer_decidable": self.count(Verdict.UNKNOWN),
            "lines": [line.to_json() for line in self.lines[:limit]],
            "lines_in_all": len(self.lines),
            "unseen": [line.to_json() for line in self.unseen[:limit]],
            "unseen_in_all": len(self.unseen),
            "probes_left_out": self.probes_left_out,
        }


@dataclass(slots=True)
class Differences:
    """Collects changes, those that read the same in one line."""

    compared: int = 0
    changed: int = 0
    _found: dict[_Key, dict[str, int]] = field(default_factory=dict)

    def add(
        self,
        ends: tuple[str, str, str, str, str],
        answers: tuple[Answer, Answer],
        days: Mapping[str, int],
        *,
        request: str = "",
        legitimacy: str,
    ) -> None:
        """Take one comparison; an unchanged verdict is only counted. A day ``""`` is one not known."""
        self.compared += 1
        before, after = answers
        if before.verdict is after.verdict:
            return
        self.changed += 1
        verdicts = (before.verdict.value, after.verdict.value)
        key: _Key = (*ends, request, legitimacy, *verdicts, before.rule, after.rule)
        counts = self._found.setdefault(key, defaultdict(int))
        for day, flows in days.items():
            counts[day] += flows

    def lines(self) -> tuple[ChangedLine, ...]:
        """What changed: breakage first, then by flows."""
        found = (
            ChangedLine(*key, sum(days.values()), tuple(sorted((d, n) for d, n in days.items() if d)))
            for key, days in sorted(self._found.items())
        )
        return tuple(sorted(found, key=lambda line: (not line.breaks, line.after != "deny", -line.flows)))


def compare_seen(seen: SeenWindow, before: PolicySet, after: PolicySet) -> Comparison:
    """
    Compare two sets over a window of observations, and beside what was seen.

    Parameters
    ----------
    seen
        The window.
    before, after
        Parsed for the release of its configuration.
    """
    old, new = seen.ask(before), seen.ask(after)
    differs = [at for at, pair in enumerate(zip(old.edges, new.edges, strict=True)) if _differ(*pair)]
    by_day = seen.flows_by_day(differs)
    found = Differences()
    for at, edge in enumerate(seen.edges):
        pair = (old.edges[at], new.edges[at])
        found.add(seen.ends(edge), pair, by_day.get(at, {}), legitimacy=seen.legitimacy(edge))
    for number in sorted({*old.requests, *new.requests}):
        request = seen.requests[number]
        edge = seen.edges[request.at]
        if _differ(old.edges[request.at], new.edges[request.at]):
            continue  # the whole edge is listed
        # Without a proxy on the way every request of an admitted edge passes.
        pair = (
            old.requests.get(number, old.edges[request.at]),
            new.requests.get(number, new.edges[request.at]),
        )
        days = {"": request.flows}
        legitimacy = seen.request_legitimacy(request)
        found.add(seen.ends(edge), pair, days, request=request.text, legitimacy=legitimacy)
    unseen, left_out = compare_unseen(before, after, seen.config)
    return Comparison(found.compared, found.changed, found.lines(), unseen, left_out)


def _differ(one: Answer, other: Answer) -> bool:
    return one.verdict is not other.verdict


def compare_unseen(
    before: PolicySet, after: PolicySet, config: AgentConfig
) -> tuple[tuple[ChangedLine, ...], int]:
    """
    Changes at the borders of the rules, whether or not any traffic is there.

    Returns
    -------
    (tuple of ChangedLine, int)
        The lines, and how many probes were left out for their number.
    """
    flows, left_out = probe_flows(before, after, MAX_PROBES)
    diff = compare_policies(before, after, EdgeTable.of_flows(flows), config)
    found = Differences()
    for change in diff.changes:
        flow = flows[change.edge]
        answers = (
            Answer(change.before, _place(before, change.before_entry)),
            Answer(change.after, _place(after, change.after_entry)),
        )
        found.add(_ends(flow), answers, {}, legitimacy="unseen")
    return _ports_joined(found.lines()), left_out


def _ports_joined(lines: Sequence[ChangedLine]) -> tuple[ChangedLine, ...]:
    """Lines that differ in nothing but their port as one."""
    ports: dict[ChangedLine, list[str]] = defaultdict(list)
    for line in lines:
        ports[replace(line, port="")].append(line.port)
    every = sorted(f"{protocol}/{port}" for protocol, port in EVERY_PORT)
    return tuple(
        replace(line, port="every port" if sorted(found) == every else ", ".join(found))
        for line, found in ports.items()
    )


def _place(policies: PolicySet, number: int) -> str:
    return "" if number < 0 else str(policies.entries[number].ref())


def _ends(flow: PolicyFlow) -> tuple[str, str, str, str, str]:
    if flow.direction is None:
        raise ValueError("a probe asks one direction")
    subject = LabelSet.of(flow.subject(flow.direction).labels or ())
    port = f"{flow.protocol}/{flow.port}"
    return (
        subject.namespace or "",
        shown_labels(subject),
        flow.direction.value,
        _peer(flow.peer(flow.direction)),
        port,
    )


def _peer(side: Side) -> str:
    """Peer of a probe; the stranger is whoever no rule names."""
    labels = LabelSet.of(side.labels or ())
    if any(label.key == STRANGER_KEY for label in labels.labels):
        return "any other pod" + (f" in {labels.namespace}" if labels.namespace else "")
    return shown_side(side)
