"""What the quarantine and the reviewers said of a call that somebody wants to be let through."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from models.domain.agent import AgentConfig
from models.domain.policy import Direction
from models.manifest.parse import parse_objects
from models.simulation.context import PolicyFlow
from models.simulation.decision import Verdict
from models.simulation.held_call import Call, is_call
from models.simulation.verdict import evaluate
from service.db.tables import QuarantineRow, RuleStandingRow
from service.export.rejected import RejectedPolicy, rejected_policies
from service.quarantine.repository import QuarantineFilter, list_entries
from service.quarantine.service import state_of
from service.quarantine.verdicts import EntryState
from service.quarantine.views import standing
from service.wiring import Portolan

#: States in which an entry keeps a call out; what was admitted becomes a rule with the next inference.
KEPT_OUT: Final = (EntryState.OPEN, EntryState.LATER, EntryState.UNWANTED)


@dataclass(frozen=True, slots=True)
class Reviewed:
    """
    What was said of one call.

    ``held`` are entries of the quarantine, ``rejected`` rules that would have allowed it; both in the form of
    the API.
    """

    held: tuple[dict[str, Any], ...] = ()
    rejected: tuple[dict[str, Any], ...] = ()

    @property
    def keeps_out(self) -> bool:
        """Whether no change may be offered that lets the call through."""
        return bool(self.rejected) or any(one["state"] in KEPT_OUT for one in self.held)


NOTHING: Final = Reviewed()


@dataclass(frozen=True, slots=True)
class Review:
    """Where to look up what was said: the review state of a cluster."""

    portolan: Portolan
    cluster: str

    def of(self, call: Call, flow: PolicyFlow, denied: Sequence[Direction], config: AgentConfig) -> Reviewed:
        """What was said of a call; rules count at the ends that deny it."""
        now = self.portolan.clock()
        with self.portolan.database.read() as session:
            rows = list_entries(session, QuarantineFilter(self.cluster), now=now)
            held = tuple(
                _entry(row, now)
                for row in rows
                if state_of(row, now) is not EntryState.LAPSED and is_call(row.form["cell"], call)
            )
            # a request in a connection is no matter of whether there is a rule for it
            asked = [replace(flow, direction=direction, l7=None) for direction in denied]
            rejected = tuple(
                _rule(one.standing)
                for one in rejected_policies(session, self.cluster, config.cilium_version)
                if any(_allows(one, end, config) for end in asked)
            )
        return Reviewed(held, rejected)


def _entry(row: QuarantineRow, now: datetime) -> dict[str, Any]:
    return {
        **standing(row),
        "id": row.id,
        "state": state_of(row, now).value,
        "namespace": row.namespace,
        "workload": row.workload,
        "direction": row.form["direction"],
        "title": row.form["title"],
        "why": list(row.form["why"]),
    }


def _rule(said: RuleStandingRow) -> dict[str, Any]:
    return {
        "id": said.rule_id,
        "proposal": said.key,
        "title": said.title,
        "reviewer": said.reviewer,
        "reason": said.reason,
        "decided_at": said.decided_at,
    }


def _allows(one: RejectedPolicy, flow: PolicyFlow, config: AgentConfig) -> bool:
    policies = parse_objects([one.manifest], config=config, linted=True)
    (gate,) = evaluate(policies, flow, config).gates
    return gate.verdict is Verdict.ALLOW and bool(gate.rules)
