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
from jobs.observations.records import ANSWERS, LABEL_SETS, NOTICES, RECORDS
from jobs.observations.schema import COVERAGE, EDGE_PODS, EDGES, ENDPOINTS, IDENTITIES, LOOKUPS

INPUTS: Final = {
    "records": RECORDS,
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
    hops = aggregate.hops(normalise())
    hop_table = ibis.table(hops.schema(), name="stage_hops")
    contacts = aggregate.contacts(hop_table)
    contact = ibis.table(contacts.schema(), name="stage_contacts")
    results = {
        EDGES.name: aggregate.edges(contact),
        EDGE_PODS.name: aggregate.edge_pods(contact),
        IDENTITIES.name: aggregate.identities(contact),
        ENDPOINTS.name: aggregate.endpoints(contact),
        LOOKUPS.name: answers.lookups(),
        COVERAGE.name: coverage.coverage(coverage.heard(), aggregate.aside(contact)),
    }
    return Plan(stages={"stage_hops": hops, "stage_contacts": contacts}, results=results)
