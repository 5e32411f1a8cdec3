"""The process that the recovery test kills: commits batches that depend on their number alone."""

import sys
from pathlib import Path

import pyarrow as pa

from jobs.observations.maintenance import compact
from jobs.observations.schema import BATCHES, COVERAGE, EDGES, arrow_schema
from jobs.observations.store import ObservationStore

DAYS = ("2026-03-02", "2026-03-03")
COMPACT_EVERY = 5


def rows_of(table: str, batch: int) -> pa.Table:
    """Some rows of one batch: keys repeat from batch to batch, so that merging has work to do."""
    spec = {"edges": EDGES, "coverage": COVERAGE, "batches": BATCHES}[table]
    rows = []
    for day in DAYS:
        for number in range(5):
            row = {name: "" if kind == "string" else 0 for name, kind in spec.columns.items()}
            row |= dict.fromkeys(spec.sums, batch)
            row |= {"day": day}
            if table == "edges":
                row |= {
                    "subject": f"pod-{(batch + number) % 7}",
                    "aggregated": False,
                    "sample": f"{batch:04d}",
                }
            if table == "coverage":
                row |= {"node": f"node-{number}"}
            if table == "batches":
                row |= {"batch": batch, "path": f"part-{number}"}
            rows.append(row)
    return pa.Table.from_pylist(rows, schema=arrow_schema(table))


def commit_up_to(folder: Path, last: int) -> None:
    """Commit the batches that are missing, compacting now and then, as an ingest that was run again."""
    with ObservationStore(folder).writing() as writer:
        while (batch := writer.next_batch()) <= last:
            tables = {table: rows_of(table, batch) for table in ("edges", "coverage", "batches")}
            writer.commit(batch, tables, {f"{batch:06d}.jsonl": b"reject\n" * batch})
            if batch % COMPACT_EVERY == 0:
                compact(writer)


if __name__ == "__main__":
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    commit_up_to(Path(sys.argv[1]), int(sys.argv[2]))
