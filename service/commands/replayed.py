"""How a back-test looks on a terminal, and line by line."""

import sys
from typing import Final

import orjson

from models.domain.policy import PolicySet
from models.simulation.backtest import WindowBacktest
from service.commands.output import clean, print_table, print_text, say

#: Lines of a table that a person reads; the counts are of everything.
MAX_ROWS: Final = 200


def name_refused(loaded: PolicySet, whose: str = "") -> None:
    """Name on standard error what a cluster would refuse: it does nothing there, and nothing here."""
    for rejected in loaded.rejected:
        say(f"note: {whose}{rejected.policy}: a cluster would refuse it: {'; '.join(rejected.reasons[:3])}")


def print_backtest(found: WindowBacktest, *, lines: bool) -> None:
    """Lines of JSON with the counts on standard error, or a table with the counts below it."""
    if lines:
        for line in found.lines:
            sys.stdout.buffer.write(orjson.dumps(clean(line.to_json())) + b"\n")
        sys.stdout.buffer.flush()
    elif found.lines:
        print_table(
            ("verdict", "kind", "workload", "direction", "peer", "port", "flows", "days", "last", "rule"),
            [
                (
                    one.verdict,
                    one.legitimacy,
                    f"{one.namespace}/{one.workload}",
                    one.direction,
                    one.peer,
                    f"{one.port} {one.request}".strip(),
                    one.flows,
                    one.day_count,
                    one.days[-1].day if one.days else "",
                    one.rule or "none allows it",
                )
                for one in found.lines[:MAX_ROWS]
            ],
            right=(6, 7),
        )
        if len(found.lines) > MAX_ROWS:
            print_text(f"{len(found.lines) - MAX_ROWS:,} more lines are not shown")
    write = say if lines else print_text
    write(
        f"{found.checked:,} edge-days that pass today: {found.admitted:,} admitted, {found.denied:,} denied "
        f"({found.denied_legitimate:,} of them legitimate), {found.undecided:,} not decidable"
    )
    if found.requests:
        write(
            f"{found.requests:,} distinct requests through a proxy: {found.requests_denied:,} refused "
            f"({found.requests_denied_legitimate:,} of them legitimate), "
            f"{found.requests_undecided:,} not decidable"
        )
