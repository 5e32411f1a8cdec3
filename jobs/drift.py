"""The drift run: the night's observations and the deployed policies in, one report out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from jobs.interfaces import ObservationReader
from models.domain.capabilities import CapabilityHints
from models.domain.window import Window
from models.drift.baseline import BASELINE_NIGHTS
from models.drift.changed import Approved
from models.drift.confirmed import Word
from models.drift.find import DriftInput, find_drift
from models.drift.regrouped import ProposedGroup
from models.drift.rejected import RejectedRule
from models.drift.report import DriftReport
from models.drift.timeline import Snapshot
from models.errors import BadInputError

#: Length of a night unless said otherwise.
SINCE: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class DriftRequest:
    """
    What one report is about.

    Parameters
    ----------
    cluster
        Whose observations.
    as_of
        End of the window, cut to the hour.
    since
        Length of the window.
    generated_at
        Time of the report.
    """

    cluster: str
    as_of: datetime
    since: timedelta
    generated_at: datetime

    def window(self) -> Window:
        """Window of the report."""
        if self.since < timedelta(hours=1):
            raise BadInputError("since: a report needs at least one hour")
        return Window.ending(self.as_of, self.since)


def run_drift(
    store: ObservationReader,
    request: DriftRequest,
    snapshots: Sequence[Snapshot],
    *,
    approved: Sequence[Approved] = (),
    hints: CapabilityHints | None = None,
    exempt: frozenset[tuple[str, str]] = frozenset(),
    held: frozenset[str] = frozenset(),
    said: Mapping[str, Word] | None = None,
    rejected: Sequence[RejectedRule] = (),
    denials_counted: float | None = None,
    proposed: Sequence[ProposedGroup] = (),
    calibration: Mapping[str, Any] | None = None,
) -> DriftReport:
    """Report on one window; the nights before it are the baseline, as far as they are stored."""
    window = request.window()
    before = Window(window.start - timedelta(days=BASELINE_NIGHTS), window.start)
    history = store.observations(request.cluster, before)
    heard = len(history.edge_days) > 0 or len(history.coverage) > 0
    given = DriftInput(
        night=store.observations(request.cluster, window),
        history=history if heard else None,
        snapshots=tuple(snapshots),
        approved=tuple(approved),
        hints=hints or CapabilityHints(),
        exempt=exempt,
        held=held,
        said=said or {},
        rejected=tuple(rejected),
        denials_counted=denials_counted,
        proposed=tuple(proposed),
        calibration=calibration,
    )
    return find_drift(given, request.generated_at)
