"""How the difference of two policy sets looks on a terminal, and line by line."""

import sys
from collections.abc import Sequence
from typing import Final

import orjson

from models.simulation.comparison import ChangedLine, Comparison
from models.simulation.decision import Verdict
from service.commands.output import clean, print_table, print_text, say

#: Lines of a table that a person reads; the counts are of everything.
MAX_ROWS: Final = 100
MAX_UNSEEN: Final = 20
_WORDS: Final = {"allow": "allowed", "deny": "denied", "unknown": "not decidable"}


def print_comparison(found: Comparison, *, lines: bool) -> None:
    """Lines of JSON with the counts on standard error, or tables with the counts below them."""
    if lines:
        for line in (*found.lines, *found.unseen):
            sys.stdout.buffer.write(orjson.dumps(clean(line.to_json())) + b"\n")
        sys.stdout.buffer.flush()
    else:
        _print_seen(found.lines)
        _print_unseen(found.unseen)
    write = say if lines else print_text
    denied, allowed = found.count(Verdict.DENY), found.count(Verdict.ALLOW)
    write(
        f"{found.compared:,} compared, {found.changed:,} changed: {denied:,} lines newly denied "
        f"({found.breaks:,} of them legitimate), {allowed:,} newly allowed, "
        f"{found.count(Verdict.UNKNOWN):,} no longer decidable"
    )
    if found.probes_left_out:
        write(f"{found.probes_left_out:,} more places where the rules differ were not tried")


def _print_seen(lines: Sequence[ChangedLine]) -> None:
    if not lines:
        print_text("Nothing that was seen is treated differently.")
        return
    print_table(
        ("change", "kind", "workload", "direction", "peer", "port", "flows", "days", "rule"),
        [
            (
                f"{_WORDS[one.before]} -> {_WORDS[one.after]}",
                one.legitimacy,
                f"{one.namespace}/{one.workload}" if one.namespace else one.workload,
                one.direction,
                one.peer,
                f"{one.port} {one.request}".strip(),
                one.flows,
                len(one.days) or "",
                one.rule_after or (f"was: {one.rule_before}" if one.rule_before else "none decides"),
            )
            for one in lines[:MAX_ROWS]
        ],
        right=(6, 7),
    )
    if len(lines) > MAX_ROWS:
        print_text(f"{len(lines) - MAX_ROWS:,} more lines are not shown")


def _print_unseen(lines: Sequence[ChangedLine]) -> None:
    if not lines:
        return
    print_text(f"Also different, though nothing of the kind was seen ({len(lines):,}):")
    for one in lines[:MAX_UNSEEN]:
        where = f" in {one.namespace}" if one.namespace else ""
        rule = one.rule_after or one.rule_before
        print_text(
            f"  {_WORDS[one.before]} -> {_WORDS[one.after]}: {one.workload}{where}, {one.direction} "
            f"{'from' if one.direction == 'ingress' else 'to'} {one.peer}, {one.port}"
            + (f"   ({rule})" if rule else "")
        )
    if len(lines) > MAX_UNSEEN:
        print_text(f"  and {len(lines) - MAX_UNSEEN:,} more")
