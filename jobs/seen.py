"""A window of the observation store as questions for policy sets; light: no learning is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.domain.window import Window
from models.simulation.seen import SeenWindow

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from jobs.interfaces import ObservationReader
    from models.domain.capabilities import CapabilityHints


def seen_window(
    store: ObservationReader,
    *,
    cluster: str,
    as_of: datetime,
    length: timedelta,
    hints: CapabilityHints | None = None,
    said: Mapping[str, str] | None = None,
) -> SeenWindow:
    """
    Read the window that ends at ``as_of``; ``said`` is what the quarantine says of its cells.

    Raises TooLittleEvidenceError if no flow lies in it: that nothing would be denied then is no answer.
    """
    observations = store.observations(cluster, Window.ending(as_of, length)).with_flows()
    return SeenWindow(observations, hints=hints, said=said)
