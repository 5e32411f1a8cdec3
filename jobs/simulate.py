"""
Simulation: what these policies would do with these flows, or with these cases.

Thin: it reads, asks ``models.simulation``, and counts. What Hubble says happened is kept beside our
verdict, so a policy set can be checked against the drops it really caused.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from jobs.policy_files import read_case_lines
from models.domain.agent import NEWEST, AgentConfig
from models.domain.policy import Direction, PolicySet
from models.errors import BadInputError
from models.simulation.cases import case_decision
from models.simulation.comparison import Comparison, Differences, compare_unseen
from models.simulation.context import PolicyFlow, config_for
from models.simulation.decision import Decision, Verdict
from models.simulation.flow_lines import LEGITIMACY, flow_line
from models.simulation.hubble import flow_to_policyflow
from models.simulation.seen import Answer
from models.simulation.verdict import evaluate

MAX_REMEMBERED: Final = 100_000  # distinct questions of one simulation


@dataclass(frozen=True, slots=True)
class CaseAnswer:
    """The verdict on one case: allow, deny, unknown or invalid."""

    id: str
    verdict: str


def simulate_cases(path: Path, cilium_version: str = NEWEST) -> Iterator[CaseAnswer]:
    """
    Answer a file of cases (JSON Lines), in order.

    Raises
    ------
    BadInputError
        If a line is no case; names file and line.
    """
    for number, case in enumerate(read_case_lines(path), start=1):
        try:
            verdict, _ = case_decision(case, cilium_version)
        except (KeyError, TypeError, ValueError) as error:
            raise BadInputError(f"{path}: case {number} is malformed: {error!r}") from None
        except BadInputError as error:
            raise BadInputError(f"{path}: case {number}: {error}") from None
        yield CaseAnswer(str(case.get("id", number)), verdict)


@dataclass(frozen=True, slots=True)
class FlowAnswer:
    """
    What the policies would do with one flow.

    `hubble` is what happened (``allowed``, ``denied``, ``audited``, ``other``); `verdict` is ``skipped``
    with the reason when the record asks nothing of policy.
    """

    number: int
    about: str
    verdict: str
    l4: str
    reason: str
    rules: tuple[str, ...]
    redirect: bool
    hubble: str

    @property
    def breaks(self) -> bool:
        """Traffic that works today and would be denied."""
        return self.verdict == Verdict.DENY and self.hubble in ("allowed", "audited")


@dataclass(slots=True)
class Totals:
    """Counts over a simulation: flows by verdict, skipped by reason, breaks, disagreements with Hubble."""

    flows: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    breaks: int = 0
    denied_as_observed: int = 0
    denied_but_allowed_here: int = 0

    def add(self, answer: FlowAnswer) -> None:
        """Count one answer."""
        self.flows += 1
        self.verdicts[answer.verdict] += 1
        if answer.verdict == "skipped":
            self.skipped[answer.reason] += 1
        self.breaks += answer.breaks
        if answer.hubble == "denied":
            self.denied_as_observed += answer.verdict == Verdict.DENY
            self.denied_but_allowed_here += answer.verdict == Verdict.ALLOW

    def as_dict(self) -> dict[str, Any]:
        """The counts for JSON, keys sorted."""
        return {
            "flows": self.flows,
            "verdicts": dict(sorted(self.verdicts.items())),
            "skipped": dict(sorted(self.skipped.items())),
            "breaks": self.breaks,
            "denied_as_observed": self.denied_as_observed,
            "denied_but_allowed_here": self.denied_but_allowed_here,
        }


def simulate_flows(
    policies: PolicySet,
    flows: Iterable[Mapping[str, Any]],
    config: AgentConfig | None = None,
    *,
    cilium_version: str = NEWEST,
) -> Iterator[FlowAnswer]:
    """
    Judge decoded Hubble flows, one answer each, in order.

    The gate asked is the one of the end where the flow was seen; without a direction both are. Without
    a configuration the release is ``cilium_version`` and the own cluster that of the endpoint asked.
    """
    judge = _Judge(policies, config, cilium_version)
    for number, record in enumerate(flows, start=1):
        observed = flow_to_policyflow(record)
        if observed.question is None:
            yield FlowAnswer(
                number,
                observed.about,
                "skipped",
                "",
                observed.skipped,
                (),
                redirect=False,
                hubble=observed.hubble,
            )
            continue
        decision = judge.decide(observed.question)
        yield FlowAnswer(
            number,
            observed.about,
            decision.verdict.value,
            decision.l4.value,
            decision.reason,
            tuple(str(rule) for rule in decision.rules),
            redirect=decision.redirect,
            hubble=observed.hubble,
        )


def compare_flows(
    before: PolicySet,
    after: PolicySet,
    flows: Iterable[Mapping[str, Any]],
    *,
    cilium_version: str = NEWEST,
) -> Comparison:
    """
    What changes for decoded Hubble flows, each asked at the end where it was seen, or at both.

    What no flow touched is compared too, in the own cluster of the flows.
    """
    judges = (_Judge(before, None, cilium_version), _Judge(after, None, cilium_version))
    found = Differences()
    own: AgentConfig | None = None
    for record in flows:
        observed = flow_to_policyflow(record)
        if observed.question is None:
            continue
        question = observed.question
        own = own or config_for(question, cilium_version)
        for direction in (question.direction,) if question.direction else tuple(Direction):
            line = flow_line(record, question, direction)
            old, new = (judge.decide(replace(question, direction=direction)) for judge in judges)
            found.add(
                line.ends,
                (_answer_of(old), _answer_of(new)),
                {line.day: 1},
                request=line.request,
                legitimacy=LEGITIMACY[observed.hubble],
            )
    unseen, left_out = compare_unseen(before, after, own or AgentConfig(cilium_version=cilium_version))
    return Comparison(found.compared, found.changed, found.lines(), unseen, left_out)


def _answer_of(decision: Decision) -> Answer:
    return Answer(decision.verdict, str(decision.rules[0]) if decision.rules else "")


class _Judge:
    """Decides questions, those of layers 3 and 4 once each: a capture asks the same thing over and over."""

    def __init__(self, policies: PolicySet, config: AgentConfig | None, cilium_version: str) -> None:
        self._policies = policies
        self._config = config
        self._version = cilium_version
        self._known: dict[PolicyFlow, Decision] = {}

    def decide(self, question: PolicyFlow) -> Decision:
        """What the policies say."""
        if question.l7 is not None:
            return self._evaluated(question)
        if question not in self._known:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            self._known[question] = self._evaluated(question)
        return self._known[question]

    def _evaluated(self, question: PolicyFlow) -> Decision:
        return evaluate(self._policies, question, self._config or config_for(question, self._version))
