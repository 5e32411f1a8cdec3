"""
Back-test: a window of observations against any set of policies.

Says what would be denied, by workload, peer, legitimacy and day. A set that was learned from the window
it is tested on cannot fail where it matters, so `rolling_origin` learns on the first days and tests on
the days after them.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

from models.confidence.backtest import FIRST_ORIGIN, origins
from models.domain.agent import AgentConfig
from models.domain.capabilities import CapabilityHints
from models.domain.policy import PolicySet
from models.domain.window import Window
from models.frames import Observations
from models.learning.recurrence import HORIZON
from models.simulation.decision import Verdict
from models.simulation.observed import ObservedFlows, agent_config, judge_edges
from models.synthesis.candidates import find_candidates
from models.synthesis.edges import Edge, EdgeTable, fold_edges
from models.synthesis.leftovers import peer_text, port_text, works
from models.synthesis.reasons import NEEDS_NO_RULE
from models.synthesis.view import ClusterView, cluster_view

#: ``legitimate``: passes today and is answered, as far as that shows; ``unanswered``: passes, and nothing
#: ever answered (a closed port, a scan).
Legitimacy = Literal["legitimate", "unanswered"]

#: Subjects that no pod policy of this cluster can close.
_NOT_ASKED: Final = frozenset({"subject_other_cluster", "subject_not_a_pod", *NEEDS_NO_RULE})


@dataclass(frozen=True, slots=True, order=True)
class DayCount:
    """Flows of one day, ``YYYY-MM-DD``."""

    day: str
    flows: int


@dataclass(frozen=True, slots=True)
class ReplayLine:
    """
    Traffic of the window that the policies would not let pass.

    Parameters
    ----------
    namespace, workload
        Of the end whose policy is asked.
    direction
        ``ingress`` or ``egress``.
    peer, port
        For people.
    verdict
        ``deny``, or ``unknown`` where the records do not say enough.
    legitimacy
        See `Legitimacy`.
    rule
        The deny rule that decided; empty for the default deny and for unknown.
    days
        Flows by day, oldest first.
    """

    namespace: str
    workload: str
    direction: str
    peer: str
    port: str
    verdict: str
    legitimacy: Legitimacy
    rule: str
    days: tuple[DayCount, ...]

    @property
    def flows(self) -> int:
        """Flows of all days."""
        return sum(day.flows for day in self.days)

    def to_json(self) -> dict[str, Any]:
        """Form of the API."""
        return {
            "namespace": self.namespace,
            "workload": self.workload,
            "direction": self.direction,
            "peer": self.peer,
            "port": self.port,
            "verdict": self.verdict,
            "legitimacy": self.legitimacy,
            "rule": self.rule,
            "flows": self.flows,
            "days": [{"day": one.day, "flows": one.flows} for one in self.days],
        }


@dataclass(frozen=True, slots=True)
class WindowBacktest:
    """
    Outcome of a replay; every count is of edge-days that pass today.

    Parameters
    ----------
    checked
        Edge-days asked.
    admitted, denied, undecided
        By verdict; they add up to `checked`.
    denied_legitimate
        Of `denied`, those of legitimate traffic: what enforcing would break.
    lines
        Everything not admitted: legitimate denials first, then by flows.
    """

    checked: int
    admitted: int
    denied: int
    undecided: int
    denied_legitimate: int
    lines: tuple[ReplayLine, ...]

    def to_json(self, limit: int | None = None) -> dict[str, Any]:
        """Form of the API; the counts are exact whatever is listed."""
        return {
            "checked": self.checked,
            "admitted": self.admitted,
            "denied": self.denied,
            "undecided": self.undecided,
            "denied_legitimate": self.denied_legitimate,
            "lines": [line.to_json() for line in self.lines[:limit]],
            "lines_in_all": len(self.lines),
        }


def backtest(
    observations: Observations,
    policies: PolicySet,
    *,
    hints: CapabilityHints | None = None,
    config: AgentConfig | None = None,
) -> WindowBacktest:
    """
    Replay a window against a policy set, on layers 3 and 4.

    Parameters
    ----------
    observations
        Of one cluster.
    policies
        Any set: proposed, approved, deployed or edited, parsed for the same release.
    hints
        What is known of the cluster.
    config
        Agent settings; by default what the observations and `hints` tell.
    """
    table = fold_edges(observations)
    view = cluster_view(observations, table.edges, hints or CapabilityHints(), "balanced")
    reasons = {one.edge.place: one.reason for one in find_candidates(view, table.edges).excluded}
    asked = [edge for edge in table.edges if edge.working and reasons.get(edge.place) not in _NOT_ASKED]
    flows = ObservedFlows(view)
    judged = judge_edges([flows.question(edge) for edge in asked], policies, config or agent_config(view))
    verdicts = {edge.place: verdict for edge, verdict in zip(asked, judged, strict=True)}
    counts = dict.fromkeys(Verdict, 0)
    broken = 0
    for edge in asked:
        verdict, _ = verdicts[edge.place]
        counts[verdict] += edge.working_days
        if verdict is Verdict.DENY and works(edge):
            broken += edge.working_days
    stopped = {place: one for place, one in verdicts.items() if one[0] is not Verdict.ALLOW}
    return WindowBacktest(
        checked=sum(counts.values()),
        admitted=counts[Verdict.ALLOW],
        denied=counts[Verdict.DENY],
        undecided=counts[Verdict.UNKNOWN],
        denied_legitimate=broken,
        lines=_lines(_Seen(observations, table, view), policies, stopped),
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """The window, and how it was read."""

    observations: Observations
    table: EdgeTable
    view: ClusterView


def _lines(
    seen: _Seen, policies: PolicySet, stopped: Mapping[int, tuple[Verdict, int]]
) -> tuple[ReplayLine, ...]:
    """Edges that do not pass, those that read the same in one line."""
    flows_of = _flows_by_day(seen, stopped)
    grouped: dict[tuple[str, str, str, str, str, str, Legitimacy, str], dict[str, int]] = defaultdict(
        lambda: defaultdict(int)
    )
    for place, (verdict, entry) in stopped.items():
        edge = seen.table.edges[place]
        namespace, workload = _subject(seen.view, edge)
        legitimacy: Legitimacy = "legitimate" if works(edge) else "unanswered"
        rule = str(policies.entries[entry].ref()) if entry >= 0 else ""
        peer, port = peer_text(seen.view, edge), port_text(edge)
        key = (namespace, workload, edge.direction, peer, port, verdict.value, legitimacy, rule)
        for day, count in flows_of[place].items():
            grouped[key][day] += count
    lines = [
        ReplayLine(*key, tuple(DayCount(day, count) for day, count in sorted(days.items())))
        for key, days in sorted(grouped.items())
    ]
    return tuple(
        sorted(
            lines,
            key=lambda line: (line.verdict != Verdict.DENY, line.legitimacy != "legitimate", -line.flows),
        )
    )


def _subject(view: ClusterView, edge: Edge) -> tuple[str, str]:
    workload = view.workload(edge.subject)
    return ("", "unknown pod") if workload is None else (workload.namespace, workload.title)


def _flows_by_day(seen: _Seen, wanted: Mapping[int, object]) -> dict[int, dict[str, int]]:
    """Flows that passed, by edge and day, of the edges wanted."""
    found: dict[int, dict[str, int]] = {place: {} for place in wanted}
    if not wanted:
        return found
    keys = {_key(seen.table.edges[place]): place for place in wanted}
    frame = seen.observations.edge_days
    frame = frame[frame["subject"].isin({key[0] for key in keys})]
    columns = ("subject", "direction", "peer_kind", "peer", "protocol", "port", "icmp_type")
    rows = zip(
        *(frame[name].tolist() for name in (*columns, "day", "flows", "audited")),
        strict=True,
    )
    for *key, day, flows, audited in rows:
        place = keys.get(tuple(key))
        if place is not None and flows + audited:
            found[place][day] = found[place].get(day, 0) + flows + audited
    return found


def _key(edge: Edge) -> tuple[Any, ...]:
    return edge[1:8]


@dataclass(frozen=True, slots=True)
class OriginBacktest:
    """What was learned up to a moment, tested on the days after it."""

    learned: Window
    tested: Window
    backtest: WindowBacktest


def rolling_origin(
    observe: Callable[[Window], Observations],
    propose: Callable[[Observations], PolicySet],
    window: Window,
    *,
    first: int = FIRST_ORIGIN,
    horizon: int = HORIZON,
    hints: CapabilityHints | None = None,
) -> tuple[OriginBacktest, ...]:
    """
    Learn on the first days of a window and replay the following ones, again and again.

    Parameters
    ----------
    observe
        Observations of a part of the window; nothing that was seen after the part may be in it.
    propose
        Policies from observations.
    window
        Whole days.
    first
        Days before the first origin.
    horizon
        Days tested at each origin, and between origins, so that no day is tested twice.
    hints
        What is known of the cluster.

    Returns
    -------
    tuple of OriginBacktest
        Oldest origin first; empty for a window too short to hold any days out.
    """
    found = []
    for origin in origins(int(window.days), horizon, first):
        middle = window.start + timedelta(days=origin)
        learned = Window(window.start, middle)
        tested = Window(middle, middle + timedelta(days=horizon))
        policies = propose(observe(learned))
        found.append(OriginBacktest(learned, tested, backtest(observe(tested), policies, hints=hints)))
    return tuple(found)
