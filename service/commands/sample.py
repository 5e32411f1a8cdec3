"""The steps of the demo: learn from sixteen days, approve for two teams, report on a later night."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from jobs.sources.report import IngestReport
from models.errors import UnsupportedError
from service.drift.service import DriftOptions, Told, report_drift
from service.proposals import repository
from service.proposals.repository import ProposalFilter
from service.proposals.service import DecisionRequest, decide_proposal
from service.review.transitions import ProposalState, Verb
from service.runs.inference import InferOptions, infer
from service.runs.service import PATIENCE, Progress, Start, ingest
from service.wiring import Portolan

#: Beside the packages; an installed wheel has no such folder.
SAMPLE: Final = Path(__file__).resolve().parents[2] / "sample_data"
FLOWS: Final = SAMPLE / "flows"
NIGHT_FLOWS: Final = SAMPLE / "night" / "flows"
#: What was there before anybody proposed anything, and what is deployed since.
DEPLOYED: Final = (SAMPLE / "policies", SAMPLE / "night" / "policies")
#: All of the sample: its collector was down for some hours, so fourteen days of it are not whole.
WINDOW: Final = timedelta(days=16)
#: The end of what is learned from, whatever was read since: a second demo proposes what the first one did.
LEARNED_UNTIL: Final = datetime(2026, 11, 16, tzinfo=UTC)
#: Ends of the nights that are reported on: an ordinary one, and the one with what is planted in it.
EVE_END: Final = datetime(2026, 11, 17, tzinfo=UTC)
NIGHT_END: Final = datetime(2026, 11, 18, tzinfo=UTC)
MORNING: Final = timedelta(hours=3)
#: Whose policies are approved in the demo; the others are left for whoever tries it.
APPROVED: Final = ("payments", "shop")
_REVIEWER: Final = "demo"
_REASON: Final = "rolled out before the night on which the sample's drift is planted"


def require_sample() -> None:
    """Say so where there is no sample data."""
    if not any(FLOWS.glob("*.jsonl.zst")):
        raise UnsupportedError(
            "the sample data comes with a source checkout, and this is an installed package"
        )


def read(portolan: Portolan, folder: Path, progress: Progress | None = None) -> IngestReport:
    """Read a folder of flows."""
    return ingest(portolan, [str(folder)], cluster=None, start=Start("cli", PATIENCE), progress=progress)


def propose(portolan: Portolan) -> None:
    """Propose from the sixteen days."""
    infer(portolan, InferOptions(as_of=LEARNED_UNTIL, window=WINDOW), Start("cli", PATIENCE))


def approve(portolan: Portolan) -> int:
    """Approve the policies of two namespaces as they are; gives how many there are."""
    request = DecisionRequest(Verb.APPROVE, _REVIEWER, _REASON, include_flagged=True)
    approved = 0
    with portolan.database.write() as session:
        for row in repository.list_proposals(session, ProposalFilter()):
            if row.namespace not in APPROVED:
                continue
            if row.state in {ProposalState.PROPOSED, ProposalState.CHANGED}:
                decide_proposal(session, row.key, request, now=portolan.clock())
            approved += 1
    return approved


def report_nights(portolan: Portolan) -> Told:
    """
    Compare both nights with what is deployed, and keep the reports; gives the newer one.

    Each is reported in its own morning, as the nightly run would: what the second one knows of the first
    must not depend on when somebody runs the demo.
    """
    told = []
    for end in (EVE_END, NIGHT_END):
        morning = replace(portolan, clock=partial(_moment, end + MORNING))
        options = DriftOptions(policies=DEPLOYED, as_of=end)
        told.append(report_drift(morning, options, trigger="cli", wait=PATIENCE))
    return told[-1]


def _moment(moment: datetime) -> datetime:
    """A clock that stands still."""
    return moment
