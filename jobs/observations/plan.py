"""
The order in which one batch becomes tables, as data: any engine can run it.

A stage is kept as a table of its own because several expressions read it; engines would compute it
again for each of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import ibis

from jobs.observations import aggregate, answers, coverage
from jobs.observations.clock import CALENDAR
from jobs.observations.normalise import normalise
from jobs.observations.records import ANSWERS, LABEL_SETS, NOTICES, TAKEN, TEMPLATES
from jobs.observations.schema import COVERAGE, EDGE_PODS, EDGES, ENDPOINTS, IDENTITIES, LOOKUPS, TABLES

INPUTS: Final = {
    "templates": TEMPLATES,
    "taken": TAKEN,
    "answers": ANSWERS,
    "label_sets": LABEL_SETS,
    "notices": NOTICES,
    "calendar": CALENDAR,
}


@dataclass(frozen=True)
class Plan:
    """Expressions of one batch over INPUTS: stages in the order they need each other, then results."""

    stages: Mapping[str, Any]
    results: Mapping[str, Any]

    def compiled(self, dialect: str) -> tuple[dict[str, str], dict[str, str]]:
        """SQL of the stages and of the results."""
        stages = {name: ibis.to_sql(expr, dialect=dialect) for name, expr in self.stages.items()}
        results = {name: ibis.to_sql(expr, dialect=dialect) for name, expr in self.results.items()}
        return stages, results


@cache
def batch_plan() -> Plan:
    """Plan of every batch."""
    stages: dict[str, Any] = {}

    def stage(name: str, expression: Any) -> Any:
        stages[name] = expression
        return ibis.table(expression.schema(), name=name)

    normalised = stage("stage_templates", normalise())
    count = stage("stage_counted", aggregate.counted(normalised))
    hop = stage("stage_hops", aggregate.hops(count, normalised))
    contact = stage("stage_contacts", aggregate.contacts(hop))
    results = {
        EDGES.name: aggregate.edges(contact),
        EDGE_PODS.name: aggregate.edge_pods(contact),
        IDENTITIES.name: aggregate.identities(contact),
        ENDPOINTS.name: aggregate.endpoints(contact),
        LOOKUPS.name: answers.lookups(),
        COVERAGE.name: coverage.coverage(coverage.heard(normalised), aggregate.aside(contact)),
    }
    return Plan(stages=stages, results=results)


def merge_plan() -> dict[str, str]:
    """SQL per table that merges its partial rows, in the order of its key."""
    merged = {
        table.name: aggregate.merge(ibis.table(table.columns, name="rows"), table).order_by(*table.keys)
        for table in TABLES
    }
    return {name: str(ibis.to_sql(rows, dialect="duckdb")) for name, rows in merged.items()}
