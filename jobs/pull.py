"""
Pull from a configured source: what it has that was not read before.

The folder keeps being written to while it is read. Ingest knows by content how far it came in each
file, whatever the file is called by now, so a pull is an ingest under the name of its source.
"""

from collections.abc import Callable

from jobs.config import FileSource
from jobs.ingest import run_ingest
from jobs.observations.store import ObservationStore
from jobs.sources.report import IngestReport


def pull(
    source: FileSource,
    *,
    store: ObservationStore,
    progress: Callable[[int, int, int], None] | None = None,
) -> IngestReport:
    """Read a source from where the last pull ended."""
    return run_ingest(
        list(source.paths), store=store, cluster=source.cluster, source=source.source, progress=progress
    )
