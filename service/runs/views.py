"""Rows of runs as the form that API, pages and doctor show."""

from typing import Any

from service.db.tables import RunRow


def run_view(row: RunRow) -> dict[str, Any]:
    """One run."""
    seconds = (row.finished_at - row.started_at).total_seconds() if row.finished_at else None
    return {
        "id": row.id,
        "kind": row.kind,
        "trigger": row.trigger,
        "outcome": row.outcome,
        "parameters": row.parameters,
        "counts": row.counts,
        "error": row.error,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "seconds": seconds,
    }
