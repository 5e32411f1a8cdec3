"""``docs/evaluation.md``: how the figures are made, and between two markers the figures themselves."""

from collections.abc import Iterable
from typing import Final

import pandas as pd

from jobs.evaluation.parameters import WorldParameters
from jobs.evaluation.tables import TextTable, detail_tables, score_table
from jobs.evaluation.targets import ELSEWHERE
from models.errors import BadInputError

BEGIN: Final = "<!-- begin: portolan evaluate --write -->"
END: Final = "<!-- end: portolan evaluate --write -->"

#: Of a page that is not there yet; what its figures mean is written by people.
TITLE: Final = "# Evaluation\n"


def _tables(tables: Iterable[TextTable]) -> list[str]:
    return [f"### {table.title}\n\n{table.markdown()}\n" for table in tables]


def _worlds(worlds: Iterable[WorldParameters]) -> TextTable:
    rows = tuple(
        (
            one.name,
            str(one.seed),
            str(one.workloads),
            str(one.start),
            f"{one.churn:g}",
            f"{one.incidents:g}",
            f"{one.cron:g}",
            f"{one.tail:g}",
            f"{one.dns_visibility:g}",
            f"{one.loss:g}",
            str(one.hour),
            str(one.runs),
            f"{one.untold:g}",
            str(one.clouds),
            str(one.host_network),
        )
        for one in worlds
    )
    headers = (
        "World",
        "Seed",
        "Workloads",
        "First day",
        "Churn",
        "Incidents",
        "Cron",
        "Tail",
        "DNS seen",
        "Loss",
        "Hour",
        "Runs",
        "Untold",
        "Clouds",
        "Host network",
    )
    return TextTable("Worlds", headers, rows)


def figures_text(summary: pd.DataFrame, worlds: Iterable[WorldParameters], which: str) -> str:
    """Everything between the markers."""
    score = score_table(summary)
    missing = TextTable(
        "Rows of the method's table that are measured elsewhere", ("Figure", "Where"), ELSEWHERE
    )
    parts = [
        f"## Figures of the {which} worlds\n",
        "Floors and targets with a slash are for 14 and 28 days of learning.\n",
        *_tables([score, *detail_tables(summary), missing, _worlds(worlds)]),
    ]
    return "\n".join(parts)


def updated(document: str | None, figures: str) -> str:
    """
    The page with new figures; everything outside the markers stays as it is.

    Raises
    ------
    BadInputError
        If an existing page has lost one of its markers.
    """
    if document is None:
        return f"{TITLE}\n{BEGIN}\n\n{figures}\n{END}\n"
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BadInputError(f"the page lacks one of its markers: {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{figures}\n{END}{after}"
