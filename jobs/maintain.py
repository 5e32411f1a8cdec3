"""One maintenance run: forget what is too old, merge the small files, delete what nobody reads any more."""

from datetime import datetime
from typing import Any

from jobs.observations.clusters import observed_clusters
from jobs.observations.kept_days import forget_unused
from jobs.observations.maintenance import KEEP, KEEP_DAYS, compact, retain, vacuum
from jobs.observations.store import ObservationStore


def run_maintain(
    store: ObservationStore, *, now: datetime, keep_days: int | None, compaction: bool
) -> dict[str, Any]:
    """
    Maintain the observation tables; says what was done.

    ``keep_days`` replaces the retention of the tables that hold observations; ledger and cursors keep
    their own, which follow from how long files stay around. None forgets nothing. Days are counted back
    from the newest observation: flows of an archive do not vanish in the night after they were read, and
    neither a source that fell silent nor a node whose clock is wrong takes the past with it. What folds kept
    and no longer ask for goes with what is too old.
    """
    counts: dict[str, Any] = {}
    today = now.date()
    observed = observed_clusters(store, now)
    if observed:
        today = min(today, max(cluster.last_seen for cluster in observed).date())
    with store.writing() as writer:
        if keep_days is not None:
            wanted = {table: keep_days if days == KEEP_DAYS else days for table, days in KEEP.items()}
            dropped = retain(writer, today, wanted)
            counts["days_dropped"] = sum(len(one.days) for one in dropped)
        if compaction:
            merged = compact(writer)
            counts["days_merged"] = len(merged)
            counts["rows_before"] = sum(one.rows_before for one in merged)
            counts["rows_after"] = sum(one.rows_after for one in merged)
        if keep_days is not None or compaction:
            counts["files_deleted"] = sum(one.files for one in vacuum(writer))
    if keep_days is not None:
        counts["folded_days_dropped"] = forget_unused(store.data_dir, now)
    return counts
