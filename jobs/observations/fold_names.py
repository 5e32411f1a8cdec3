"""
Names of addresses outside the cluster, as the client that used them knew them.

Hubble's own ``destination_names`` come first. Where a day has none, names come from the answers that
*this* client (label set) got for the address, if the flow falls into an answer's lifetime: from its
first sight to its last plus its longest TTL and a grace. All names that qualify are kept, since
choosing between them would be a guess.
"""

from typing import Any, Final

import ibis

from jobs.observations.clock import US_PER_HOUR, US_PER_SECOND, whole
from jobs.observations.fold_keys import EDGE, LINK, MAX_TTL_SECONDS
from jobs.observations.fold_rows import within
from jobs.observations.schema import LOOKUPS

#: Resolvers in pods, and pools of connections, outlive a TTL by minutes.
GRACE_SECONDS: Final = 300
#: Lookups from before the window that may still name its first flows.
LOOK_BACK_HOURS: Final = 24


def lifetimes() -> Any:
    """Stretches of hours in which an address stood for a name, one row per hour and stretch."""
    rows = within(LOOKUPS, look_back_hours=LOOK_BACK_HOURS)
    rows = rows.filter((rows.rcode == 0) & (rows.ip != ""))
    ttl = ibis.least(rows.ttl_max.max().fill_null(0), MAX_TTL_SECONDS)
    answers = rows.group_by("hour", "subject", "name", "ip").agg(
        from_us=rows.first_us.min(),
        until_us=(rows.last_us.max() + (ttl + GRACE_SECONDS) * US_PER_SECOND).cast("int64"),
    )
    # An answer is joined by hour, an equality, rather than by overlap: engines sort for the one and
    # multiply for the other.
    offset = ibis.table({"step": "int64"}, name="steps")
    spread = answers.join(offset, offset.step <= whole(answers.until_us, US_PER_HOUR) - answers.hour)
    return spread.select(
        "name",
        "from_us",
        "until_us",
        client=spread.subject,
        address=spread.ip,
        live_hour=spread.hour + spread.step,
    )


def lookup_names(rows: Any, alive: Any) -> Any:
    """Names from lookups per link and day, one row each; ``rows`` are those of single hours."""
    r = rows.filter(
        (rows.peer_kind == "ip")
        & (rows.direction == "egress")
        & (rows.peer_names == "")
        & (rows.first_us > 0)
    )
    met = r.join(
        alive,
        [
            r.subject == alive.client,
            r.peer == alive.address,
            r.hour == alive.live_hour,
            alive.from_us <= r.last_us,
            alive.until_us >= r.first_us,
        ],
    )
    return met.select("day", *LINK, what=ibis.literal("lookup"), text=met["name"]).distinct()


def words(rows: Any, column: str) -> Any:
    """Distinct non-empty texts of one column per link and day."""
    said = rows.filter(rows[column] != "")
    return said.select("day", *LINK, what=ibis.literal(column), text=said[column]).distinct()


def united(resolved_words: Any) -> Any:
    """Comma-joined lists of ``text`` united per edge, day and ``what``: sorted, each word once."""
    w = resolved_words.filter((resolved_words.aside == "") & ~resolved_words.turned)
    split = w.select("day", *EDGE, "what", word=w.text.split(",").unnest()).distinct()
    key = ["day", *EDGE, "what"]
    return split.group_by(*key).agg(text=split.word.group_concat(sep=",", order_by=split.word))
