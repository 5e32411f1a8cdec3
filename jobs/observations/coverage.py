"""When each node was heard, what was lost, and what was refused: silence is not absence."""

from typing import Any, Final

import ibis

from jobs.observations.aggregate import merge
from jobs.observations.clock import (
    SLOTS_PER_HOUR,
    US_PER_HOUR,
    US_PER_SLOT,
    whole,
    with_day,
)
from jobs.observations.records import NOTICES, TAKEN
from jobs.observations.schema import ASIDE_PREFIX, COVERAGE

#: Notice kinds and the measure each adds to. A node that was unavailable delivered nothing: no measure.
_MEASURES: Final = {"lost": "lost_events", "rejected": "rejects", "skipped": "skipped"}

#: What is heard on its own.
_PLACE: Final = ("cluster", "source", "node")


def _slot_flags(slot: Any, heard: Any) -> dict[str, Any]:
    """One flag per five minutes of the hour, set where the stretch with this number was heard."""
    on, off = ibis.literal(1, "int8"), ibis.literal(0, "int8")
    return {
        f"m{5 * number:02d}": ibis.cases((heard & (slot == number), on), else_=off)
        for number in range(SLOTS_PER_HOUR)
    }


def _no_flags() -> dict[str, Any]:
    return _slot_flags(ibis.literal(-1), ibis.literal(False))


def _count(number: int = 0) -> Any:
    return ibis.literal(number, "int64")


def heard(normalised: Any, taken: Any = None) -> Any:
    """What each node delivered in every five minutes, from the records as they came."""
    t = ibis.table(TAKEN, name="taken") if taken is None else taken
    t = t.select("template", "time_us", stretch=whole(t.time_us, US_PER_SLOT))
    # By a number: there are few places, but nearly as many templates by stretch as records.
    places = normalised.group_by(*_PLACE).agg(place=normalised.template.min())
    n = normalised.join(places, _PLACE)
    n = n.select(
        "template",
        "place",
        "weight",
        answer_weight=ibis.cases((n.is_answer, n.weight), else_=_count()),
    )
    r = t.join(n, "template")
    counted = r.group_by("place", "stretch").agg(
        flows=r.weight.sum().cast("int64"),
        records=r.count(),
        replies=r.answer_weight.sum().cast("int64"),
        first_us=r.time_us.min(),
        last_us=r.time_us.max(),
    )
    grouped = counted.join(places, "place")
    hour = whole(grouped.stretch, SLOTS_PER_HOUR)
    return grouped.select(
        "cluster",
        "source",
        "node",
        "flows",
        "records",
        "replies",
        "first_us",
        "last_us",
        hour=hour,
        reason=ibis.literal(""),
        lost_events=_count(),
        rejects=_count(),
        skipped=_count(),
        **_slot_flags(grouped.stretch % SLOTS_PER_HOUR, ibis.literal(True)),
    )


def _noticed(notices: Any) -> Any:
    n = notices
    reason = ibis.ifelse(n.reason == "", n.kind, n.kind + "_" + n.reason)
    return n.select(
        "cluster",
        "source",
        "node",
        flows=_count(),
        records=_count(),
        replies=_count(),
        first_us=n.time_us,
        last_us=n.time_us,
        hour=whole(n.time_us, US_PER_HOUR),
        reason=reason,
        **{
            measure: ibis.cases((n.kind == kind, n["count"]), else_=_count())
            for kind, measure in _MEASURES.items()
        },
        **_no_flags(),
    )


def coverage(heard_rows: Any, aside_rows: Any) -> Any:
    """Rows of the coverage table, from the records, the notices and what was no edge."""
    a = aside_rows
    no_edge = a.select(
        "cluster",
        "flows",
        "first_us",
        "last_us",
        "hour",
        records=_count(),
        source=ibis.literal(""),
        node=ibis.literal(""),
        replies=_count(),
        reason=ibis.literal(ASIDE_PREFIX) + a.reason,
        lost_events=_count(),
        rejects=_count(),
        skipped=_count(),
        **_no_flags(),
    )
    names = [name for name in COVERAGE.columns if name != "day"]
    rows = ibis.union(
        heard_rows.select(*names),
        _noticed(ibis.table(NOTICES, name="notices")).select(*names),
        no_edge.select(*names),
    )
    return merge(with_day(rows), COVERAGE)
