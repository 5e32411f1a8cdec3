"""Run a batch's plan on DuckDB, inside the connection that already holds its input tables."""

from typing import Any, Final

import duckdb

from jobs.observations.clock import calendar_table
from jobs.observations.compiled import compiled
from jobs.observations.schema import arrow_schema

_PIECE: Final = 8192  # rows of a stage that one thread of the next takes


def batch_tables(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """
    Hourly tables of one batch: ``edges edge_pods identities endpoints lookups coverage`` as Arrow.

    ``con`` holds the tables or views ``templates``, ``taken``, ``answers``, ``label_sets`` and ``notices``
    with the columns of ``records.py``; it is left as it was found.
    """
    stages, results = compiled()
    con.register("calendar", calendar_table())
    try:
        for name, sql in stages.items():
            con.register(name, con.sql(sql).to_arrow_table(_PIECE))
        return {name: con.sql(sql).to_arrow_table().cast(arrow_schema(name)) for name, sql in results.items()}
    finally:
        for name in stages:
            con.unregister(name)
        con.unregister("calendar")
