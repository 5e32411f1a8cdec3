"""
Names of addresses outside the cluster, as the client that used them knew them.

Hubble's own ``destination_names`` come first. Where a day has none, names come from the answers that
*this* client (label set) got for the address, if the flow falls into an answer's lifetime: from its
first sight to its last plus its longest TTL and a grace. All names that qualify are kept, since
choosing between them would be a guess.
"""

from typing import Any, Final

import ibis
import pandas as pd

from jobs.observations.clock import US_PER_HOUR, US_PER_SECOND, whole
from jobs.observations.fold_rows import EDGE, within
from jobs.observations.schema import LOOKUPS

#: Resolvers in pods, and pools of connections, outlive a TTL by minutes.
GRACE_SECONDS: Final = 300
#: A longer TTL says nothing more: an answer older than a day would have to be from before the window.
MAX_TTL_SECONDS: Final = 24 * 3600
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


#: Hours that one answer can reach into: its TTL and grace, and the hour in which they end.
STEPS: Final = range(MAX_TTL_SECONDS // 3600 + 2)


def lookup_names(resolved_rows: Any, alive: Any) -> Any:
    """Names from lookups per edge and day, one row each."""
    r = resolved_rows.filter(
        (resolved_rows.aside == "")
        & (resolved_rows.peer_kind == "ip")
        & (resolved_rows.direction == "egress")
        & (resolved_rows.first_us > 0)
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
    return met.select("day", *EDGE, text=met["name"]).distinct()


def union_words(rows: pd.DataFrame, keys: list[str]) -> pd.Series:
    """Comma-joined lists of ``text`` united per key: sorted, each word once."""
    split = rows.assign(text=rows["text"].str.split(",")).explode("text").drop_duplicates([*keys, "text"])
    ordered = split.sort_values([*keys, "text"])
    return ordered.groupby(keys, sort=True)["text"].agg(",".join)
