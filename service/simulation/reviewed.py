"""What the quarantine and the reviewers said of a call that somebody wants to be let through."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from models.domain.agent import AgentConfig
from models.domain.policy import Direction
from models.domain.proposal import Proposal
from models.domain.proposal_json import proposal_from_json
from models.errors import UnsupportedError
from models.manifest.parse import parse_objects
from models.manifest.render import cilium_manifest
from models.simulation.context import PolicyFlow
from models.simulation.decision import Verdict
from models.simulation.held_call import Call, is_call
from models.simulation.verdict import evaluate
from service.db.tables import ProposalRow, QuarantineRow, RuleStandingRow
from service.proposals import repository as proposals
from service.proposals import service as proposed
from service.quarantine.repository import QuarantineFilter, list_entries
from service.quarantine.service import state_of
from service.quarantine.verdicts import EntryState
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
            asked = [
                _Asked(call, replace(flow, direction=direction, l7=None), config) for direction in denied
            ]
            rejected = tuple(
                _rule(row, standing)
                for row, standing in proposals.rejections(session, self.cluster)
                if any(one.allowed_by(session, row, standing) for one in asked)
            )
        return Reviewed(held, rejected)


def _entry(row: QuarantineRow, now: datetime) -> dict[str, Any]:
    return {
        "id": row.id,
        "state": state_of(row, now).value,
        "namespace": row.namespace,
        "workload": row.workload,
        "direction": row.form["direction"],
        "title": row.form["title"],
        "why": list(row.form["why"]),
        "reviewer": row.reviewer,
        "reason": row.reason,
        "decided_at": row.decided_at,
        "ask_again_at": row.ask_again_at,
    }


def _rule(row: ProposalRow, standing: RuleStandingRow) -> dict[str, Any]:
    return {
        "id": standing.rule_id,
        "proposal": row.key,
        "title": standing.title,
        "reviewer": standing.reviewer,
        "reason": standing.reason,
        "decided_at": standing.decided_at,
    }


@dataclass(frozen=True, slots=True)
class _Asked:
    """A call at one of its ends."""

    call: Call
    flow: PolicyFlow
    config: AgentConfig

    def allowed_by(self, session: Session, row: ProposalRow, standing: RuleStandingRow) -> bool:
        """Whether a rejected rule would have allowed it: by the rule, by its title where none is kept."""
        for proposal in _versions(session, row):
            if any(rule.id == standing.rule_id for rule in proposal.rules):
                return self._allowed(proposal, standing.rule_id)
        return self._titled(standing.title, row)

    def _allowed(self, proposal: Proposal, rule_id: str) -> bool:
        try:
            manifest = cilium_manifest(proposal, include={rule_id})
        except UnsupportedError:  # a resolver alone is no policy
            return False
        policies = parse_objects([manifest], config=self.config, linted=True)
        (gate,) = evaluate(policies, self.flow, self.config).gates
        return gate.verdict is Verdict.ALLOW and bool(gate.rules)

    def _titled(self, title: str, row: ProposalRow) -> bool:
        """Whether a title names it: a run that proposes the rule no more keeps nothing else of it."""
        egress = self.flow.direction is Direction.EGRESS
        ends = (self.call.source, self.call.destination)
        mine, other = ends if egress else ends[::-1]
        start = "egress to " if egress else "ingress from "
        peers, _, ports = title.removeprefix(start).rpartition(" on ")
        titles = (f"{other.workload} in {other.namespace}", *(other.side.names or ()))
        return (
            title.startswith(start)
            and row.namespace == mine.namespace
            and mine.workload in {one.partition("/")[2] for one in row.workloads.split(", ")}
            and f"{self.call.protocol}/{self.call.port}" in ports.split(", ")
            and not set(titles).isdisjoint(peers.split(", "))
        )


def _versions(session: Session, row: ProposalRow) -> Iterator[Proposal]:
    """What was proposed, the newest first, and what was approved."""
    for number, *_ in proposals.versions_of(session, row.key):
        yield proposal_from_json(proposed.version_body(session, row, number))
    if row.approved_body is not None:
        yield proposal_from_json(row.approved_body)
