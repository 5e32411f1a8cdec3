"""
Back-test: a window of observations against any set of policies.

Says what would be denied, by workload, peer, request, legitimacy and day. A set that was learned from the
window it is tested on cannot fail where it matters: `models.simulation.rolling` learns on the first days
and tests on the days after them.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from models.domain.agent import AgentConfig
from models.domain.capabilities import CapabilityHints
from models.domain.policy import PolicySet
from models.frames import Observations
from models.simulation.decision import Verdict
from models.simulation.seen import Legitimacy, SeenWindow, Verdicts


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
    request
        ``GET /orders``, ``DNS api.example.org``; empty: the connection itself.
    verdict
        ``deny``, or ``unknown`` where the records do not say enough.
    legitimacy
        See `models.simulation.seen.Legitimacy`.
    rule
        The rule that decided: a deny rule, for a request the rule that restricts it; empty for the
        default deny and for unknown.
    flows
        Of all days.
    day_count
        Days with any; for several edges in one line the highest of them.
    days
        Flows by day, oldest first; empty for requests, which the store does not count by day.
    """

    namespace: str
    workload: str
    direction: str
    peer: str
    port: str
    request: str
    verdict: str
    legitimacy: Legitimacy
    rule: str
    flows: int
    day_count: int
    days: tuple[DayCount, ...]

    def to_json(self) -> dict[str, Any]:
        """Form of the API."""
        return {
            "namespace": self.namespace,
            "workload": self.workload,
            "direction": self.direction,
            "peer": self.peer,
            "port": self.port,
            "request": self.request,
            "verdict": self.verdict,
            "legitimacy": self.legitimacy,
            "rule": self.rule,
            "flows": self.flows,
            "day_count": self.day_count,
            "days": [{"day": one.day, "flows": one.flows} for one in self.days],
        }


@dataclass(frozen=True, slots=True)
class DayOutcome:
    """
    One day of a replay, in edge-days of that day.

    Parameters
    ----------
    day
        ``YYYY-MM-DD``.
    checked, denied, undecided, denied_legitimate
        As in `WindowBacktest`.
    """

    day: str
    checked: int
    denied: int
    undecided: int
    denied_legitimate: int

    def to_json(self) -> dict[str, Any]:
        """Form of the API."""
        return {
            "day": self.day,
            "checked": self.checked,
            "denied": self.denied,
            "undecided": self.undecided,
            "denied_legitimate": self.denied_legitimate,
        }


@dataclass(frozen=True, slots=True)
class WindowBacktest:
    """
    Outcome of a replay; counts are of edge-days that pass today, unless they say requests.

    Parameters
    ----------
    checked
        Edge-days asked.
    admitted, denied, undecided
        By verdict on layers 3 and 4; they add up to `checked`.
    denied_legitimate
        Of `denied`, those of legitimate traffic: what enforcing would break.
    requests, requests_denied, requests_undecided
        Distinct requests asked of layer 7 on admitted edges, and their verdicts.
    requests_denied_legitimate
        Of `requests_denied`, those of legitimate traffic.
    days
        The same by day, oldest first; only days on which something passed.
    lines
        Everything not admitted: legitimate denials first, then by flows.
    """

    checked: int
    admitted: int
    denied: int
    undecided: int
    denied_legitimate: int
    requests: int
    requests_denied: int
    requests_undecided: int
    requests_denied_legitimate: int
    days: tuple[DayOutcome, ...]
    lines: tuple[ReplayLine, ...]

    @property
    def breaks(self) -> bool:
        """Whether something that works today would be denied."""
        return bool(self.denied_legitimate or self.requests_denied_legitimate)

    def to_json(self, limit: int | None = None) -> dict[str, Any]:
        """Form of the API; the counts are exact whatever is listed."""
        return {
            "checked": self.checked,
            "admitted": self.admitted,
            "denied": self.denied,
            "undecided": self.undecided,
            "denied_legitimate": self.denied_legitimate,
            "requests": self.requests,
            "requests_denied": self.requests_denied,
            "requests_undecided": self.requests_undecided,
            "requests_denied_legitimate": self.requests_denied_legitimate,
            "days": [day.to_json() for day in self.days],
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
    Replay a window against a policy set.

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
    return replay_seen(SeenWindow(observations, hints=hints, config=config), policies)


def replay_seen(seen: SeenWindow, policies: PolicySet) -> WindowBacktest:
    """Replay a window that was read before against a policy set."""
    verdicts = seen.ask(policies)
    days = _days(seen, verdicts)
    asked = [verdicts.requests[number].verdict for number in verdicts.requests]
    refused = [n for n, answer in verdicts.requests.items() if answer.verdict is Verdict.DENY]
    checked = sum(day.checked for day in days)
    denied, undecided = sum(day.denied for day in days), sum(day.undecided for day in days)
    return WindowBacktest(
        checked=checked,
        admitted=checked - denied - undecided,
        denied=denied,
        undecided=undecided,
        denied_legitimate=sum(day.denied_legitimate for day in days),
        requests=len(asked),
        requests_denied=len(refused),
        requests_undecided=asked.count(Verdict.UNKNOWN),
        requests_denied_legitimate=sum(
            seen.request_legitimacy(seen.requests[n]) == "legitimate" for n in refused
        ),
        days=days,
        lines=_lines(seen, verdicts),
    )


def _days(seen: SeenWindow, verdicts: Verdicts) -> tuple[DayOutcome, ...]:
    counts: dict[str, list[int]] = {}
    for day, at in seen.edge_days():
        verdict = verdicts.edges[at].verdict
        denied = verdict is Verdict.DENY
        one = counts.setdefault(day, [0, 0, 0, 0])
        one[0] += 1
        one[1] += denied
        one[2] += verdict is Verdict.UNKNOWN
        one[3] += denied and seen.legitimacy(seen.edges[at]) == "legitimate"
    return tuple(DayOutcome(day, *numbers) for day, numbers in sorted(counts.items()))


_Key = tuple[str, str, str, str, str, str, str, Legitimacy, str]


def _lines(seen: SeenWindow, verdicts: Verdicts) -> tuple[ReplayLine, ...]:
    """What does not pass, edges and requests that read the same in one line."""
    stopped = [at for at, answer in enumerate(verdicts.edges) if answer.verdict is not Verdict.ALLOW]
    by_day = seen.flows_by_day(stopped)
    grouped: dict[_Key, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for at in stopped:
        edge, answer = seen.edges[at], verdicts.edges[at]
        key = (*seen.ends(edge), "", answer.verdict.value, seen.legitimacy(edge), answer.rule)
        for day, count in by_day[at].items():
            grouped[key][day] += count
    lines = [
        ReplayLine(
            *key, sum(days.values()), len(days), tuple(DayCount(day, n) for day, n in sorted(days.items()))
        )
        for key, days in sorted(grouped.items())
    ]
    lines += _request_lines(seen, verdicts)
    return tuple(
        sorted(
            lines,
            key=lambda line: (
                line.verdict != Verdict.DENY, line.legitimacy != "legitimate", -line.flows, line.request,
            ),
        )
    )  # fmt: skip


def _request_lines(seen: SeenWindow, verdicts: Verdicts) -> list[ReplayLine]:
    grouped: dict[_Key, list[int]] = defaultdict(lambda: [0, 0])
    for number, answer in verdicts.requests.items():
        if answer.verdict is Verdict.ALLOW:
            continue
        request = seen.requests[number]
        edge = seen.edges[request.at]
        rule = answer.rule if answer.verdict is Verdict.DENY else ""
        legitimacy = seen.request_legitimacy(request)
        key = (*seen.ends(edge), request.text, answer.verdict.value, legitimacy, rule)
        grouped[key][0] += request.flows
        grouped[key][1] = max(grouped[key][1], request.days)
    return [ReplayLine(*key, flows, days, ()) for key, (flows, days) in sorted(grouped.items())]
