"""
A proposal: one policy for one workload, with the evidence behind every line of it.

The manifest merges rules into few entries; ``Rule.path`` says into which. The key of a proposal is derived
from what it is, never from when or in which order it was seen.
"""

import json
from dataclasses import dataclass
from typing import Final

from models.domain.confidence import NOT_ESTIMATED, Completeness
from models.domain.peer import LabelSelector
from models.domain.quarantine import Quarantined
from models.domain.rule import Direction, Maturity, Rule, stable_id

#: As ``json.dumps(..., sort_keys=True)``, which sets up an encoder for each of many thousand rules.
_encoded: Final = json.JSONEncoder(sort_keys=True).encode


@dataclass(frozen=True, slots=True, order=True)
class LeftOut:
    """
    Observed traffic that no rule is for, and why.

    Parameters
    ----------
    reason
        Code, a key of `models.synthesis.reasons.WHY`.
    direction
        Seen from the subject.
    peer, port
        What it was, as text for people.
    flows, denied
        Records that passed, and records that were refused or dropped.
    days_seen
        Calendar days (UTC) with any of them.
    edges
        Edges behind this line.
    first_us, last_us
        Microseconds since the epoch.
    why
        A sentence.
    works
        It was forwarded, and was answered or could not be seen to be: enforcement would end it.
    let_in
        A rule that is for many lets it pass all the same.
    """

    direction: str
    reason: str
    peer: str
    port: str
    flows: int
    denied: int
    days_seen: int
    edges: int
    first_us: int
    last_us: int
    why: str
    works: bool = False
    let_in: bool = False


@dataclass(frozen=True, slots=True)
class DirectionDecision:
    """
    Whether the proposal constrains a direction, and why.

    Parameters
    ----------
    enforced
        The direction becomes default-deny; else the policy has no section for it and it stays open.
    reason
        Code: observed, nothing_observed, only_dns, incomplete, all_rejected.
    why
        A sentence.
    completeness
        What enforcing it would deny.
    """

    enforced: bool
    reason: str
    why: str
    completeness: Completeness = NOT_ESTIMATED


@dataclass(frozen=True, slots=True)
class Subject:
    """
    Which pods the policy selects.

    Parameters
    ----------
    selector
        Labels inside the namespace.
    workloads
        Sorted ``Kind/name``; more than one when their labels cannot be told apart.
    service_account
        The selector rests on the service account, for want of a usable label.
    """

    selector: LabelSelector
    workloads: tuple[str, ...]
    service_account: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Assumption:
    """Something taken for granted because neither configuration nor data said it; and what it costs."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class BacktestDenial:
    """
    Traffic of the window that the proposed set would deny although it worked.

    Parameters
    ----------
    direction, peer, port
        Which, for people.
    edge_days
        Edges times days.
    reason, why
        Why it was left out: a key of `models.synthesis.reasons.WHY`, and its sentence.
    workload
        Whose gate denies it; a policy may select several workloads.
    legitimacy
        ``legitimate``, or ``suspicious`` where screening held it back.
    flows
        Records that passed.
    days
        Edges by day, ``YYYY-MM-DD``, oldest first.
    """

    direction: str
    peer: str
    port: str
    edge_days: int
    reason: str
    why: str
    workload: str = ""
    legitimacy: str = "legitimate"
    flows: int = 0
    days: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Backtest:
    """
    Replay of the window against the proposed policies.

    Parameters
    ----------
    checked, admitted
        Edge-days that were forwarded and answered (or could not be seen to be), and the ones admitted.
    undecided
        Edge-days on which the evaluator could not decide.
    denied
        What would be denied, with the reason it was left out: the first lines, the largest.
    denied_edge_days, denied_legitimate, denied_in_all
        Edge-days denied, those of them that are legitimate, and lines, whatever is listed.
    days
        Edges denied by day, oldest first; days without any are left out.
    requests, requests_undecided, requests_refused
        Kinds of HTTP request (method and path) asked of the lists, those whose path was redacted, and those
        that a list refuses. The refused ones are in `denied`, and in none of the counts of edges.
    """

    checked: int = 0
    admitted: int = 0
    undecided: int = 0
    denied: tuple[BacktestDenial, ...] = ()
    denied_edge_days: int = 0
    denied_legitimate: int = 0
    denied_in_all: int = 0
    days: tuple[tuple[str, int], ...] = ()
    requests: int = 0
    requests_undecided: int = 0
    requests_refused: int = 0


@dataclass(frozen=True, slots=True)
class Proposal:
    """
    One policy for one workload, as proposed by one run.

    Parameters
    ----------
    key
        Stable: from cluster, namespace and workload.
    cluster, namespace, name
        Where, and the manifest's ``metadata.name``.
    subject
        Which pods.
    description
        One sentence: why the policy exists.
    rules
        Sorted by `Rule.sort_key`.
    ingress, egress
        What happens to each direction.
    left_out
        Sorted; observed and not allowed.
    maturity
        ``stable`` only from 14 effective days on, where enough was heard to screen the window, and where
        every direction that it constrains is ready at a risk of 20 %.
    why_not_stable
        What keeps it from ``stable``, in words; "" where nothing does.
    observed_from_us
        First time the workload was seen, microseconds since the epoch, cut to the day.
    effective_days
        Days on which the workload could have been observed without gaps or loss.
    assumptions, reasons, flags
        For the reviewer.
    backtest
        Result of the replay; ``None`` before it.
    quarantine
        Sorted; what is held back for a person to decide.
    posture
        Whose exchange rates it was made with; "" where it is not known.
    """

    key: str
    cluster: str
    namespace: str
    name: str
    subject: Subject
    description: str
    rules: tuple[Rule, ...]
    ingress: DirectionDecision
    egress: DirectionDecision
    left_out: tuple[LeftOut, ...]
    maturity: Maturity
    observed_from_us: int
    effective_days: float
    assumptions: tuple[Assumption, ...] = ()
    reasons: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    backtest: Backtest | None = None
    quarantine: tuple[Quarantined, ...] = ()
    why_not_stable: str = ""
    posture: str = ""

    @property
    def fingerprint(self) -> str:
        """
        Changes exactly when the meaning changes: subject, directions, peers, ports; never evidence.

        Two proposals with one fingerprint render the same rules, so a new version is made only
        when it differs.
        """
        meaning = [
            self.cluster,
            self.namespace,
            self.name,
            self.subject.selector.to_json(),
            self.ingress.enforced,
            self.egress.enforced,
            sorted(_encoded(rule.meaning()) for rule in self.rules),
        ]
        return stable_id(_encoded(meaning))

    def decision(self, direction: Direction) -> DirectionDecision:
        """What happens to a direction."""
        return self.ingress if direction == "ingress" else self.egress
