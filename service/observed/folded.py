"""The observation store, as inference reads it."""

from dataclasses import dataclass

from jobs.observations.fold import fold
from jobs.observations.store import ObservationStore
from models.domain.window import Window
from models.frames import Observations


@dataclass(frozen=True)
class FoldedObservations:
    """Reads the store as inference wants it: oriented, named, folded by day."""

    store: ObservationStore

    def observations(self, cluster: str, window: Window) -> Observations:
        """Frames of one cluster and window."""
        return fold(self.store, cluster, window)
