"""DNS answers: what each pod asked, what came back, and which addresses a name led to, when."""

from typing import Any

import ibis

from jobs.observations.aggregate import merge
from jobs.observations.clock import US_PER_HOUR, whole, with_day
from jobs.observations.records import ANSWERS, TAKEN, TEMPLATES
from jobs.observations.schema import LOOKUPS


def lookups(templates: Any = None, taken: Any = None, answers: Any = None) -> Any:
    """Rows of the lookups table: one per answered question, one per address in its answers."""
    t = ibis.table(TEMPLATES, name="templates") if templates is None else templates
    own = ibis.table(TAKEN, name="taken") if taken is None else taken
    a = ibis.table(ANSWERS, name="answers") if answers is None else answers
    t = t.filter((t.l7_kind == "dns") & t.dns_rcode.notnull() & (t.dst_key != ""))
    r = own.select("template", "time_us").join(t, "template")
    replies = r.select(
        "cluster",
        hour=whole(r.time_us, US_PER_HOUR),
        subject=r.dst_key,
        name=r.dns_query,
        qtypes=r.dns_qtypes,
        rcode=r.dns_rcode,
        ip=ibis.literal(""),
        cnames=r.dns_cnames,
        lookups=r.weight,
        first_us=r.time_us,
        last_us=r.time_us,
        ttl_min=r.dns_ttl,
        ttl_max=r.dns_ttl,
    )
    a = a.filter((a.client_key != "") & (a.ip != ""))
    addresses = a.select(
        "cluster",
        hour=whole(a.time_us, US_PER_HOUR),
        subject=a.client_key,
        name=a.dns_query,
        qtypes=ibis.literal(""),
        rcode=ibis.literal(0, "int32"),
        ip=a.ip,
        cnames=ibis.literal(""),
        lookups=ibis.literal(1, "int64"),
        first_us=a.time_us,
        last_us=a.time_us,
        ttl_min=a.dns_ttl,
        ttl_max=a.dns_ttl,
    )
    rows = ibis.union(replies, addresses)
    return merge(with_day(rows), LOOKUPS)
