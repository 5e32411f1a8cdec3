"""
From normalised records to the hourly tables: one expression per table.

``counted`` groups the records by their template, hour and server port, which are numbers; ``hops``
groups those by what they show of both ends, and everything after it works on far fewer rows.
``contacts`` turns every hop client to server and says what each end is. One contact is then seen from
both sides: it gives the egress row of a client that is a pod and the ingress row of a server that is a
pod, each saying at which end it was seen.
"""

from typing import Any, Final

import ibis

from jobs.observations.clock import US_PER_HOUR, whole, with_day
from jobs.observations.normalise import (
    ASIDE,
    ASIDES,
    CLASSES,
    REPLY,
    SOURCE_PORT,
    TARGET_PORT,
    UNKNOWN,
)
from jobs.observations.records import LABEL_SETS, TAKEN
from jobs.observations.schema import EDGE_PODS, EDGES, ENDPOINTS, IDENTITIES, Table

#: Stands in for the label key of a pod whose record had a name but no labels (stored logs, field masks).
UNLABELLED: Final = "unlabelled:"

_WORLD: Final = ("world", "world-ipv4", "world-ipv6")
_ENTITIES: Final = ("kube-apiserver", "host", "remote-node", "ingress", "health", "unmanaged")
#: Reserved identity numbers, for records whose labels were masked out (Cilium's pkg/identity).
_RESERVED_NUMBERS: Final = {
    1: "host",
    2: "world",
    3: "unmanaged",
    4: "health",
    5: "init",
    6: "remote-node",
    7: "kube-apiserver",
    8: "ingress",
    9: "world",
    10: "world",
}
_LOCAL_CIDR, _LOCAL_NODE, _LOCAL_END = 0x0100_0000, 0x0200_0000, 0x0300_0000

_HOP_KEYS: Final = (
    "cluster",
    "hour",
    "turn",
    "verdict_class",
    "at_source",
    "aggregated",
    "protocol",
    "port",
    "icmp_type",
    "src_key",
    "src_pod",
    "src_ip",
    "src_identity",
    "dst_key",
    "dst_pod",
    "dst_ip",
    "dst_identity",
    "names",
    "service",
    "l7_kind",
    "l7_method",
    "l7_route",
    "drop_reason",
    "policies",
)
_SUMS: Final = ("weight", "connections", "reset", "verdict_events", "trace_events")
_OWNER: Final = ("namespace", "workload", "workload_kind")
_END: Final = ("key", "pod", "ip", "identity", *_OWNER)


def counted(normalised: Any, taken: Any = None) -> Any:
    """Records grouped by template, hour and server port."""
    t = ibis.table(TAKEN, name="taken") if taken is None else taken
    n = normalised.select("template", "server_port", "request", "shows_client_port")
    r = t.join(n, "template")
    r = r.select(
        "template",
        "time_us",
        hour=whole(r.time_us, US_PER_HOUR),
        port=ibis.cases(
            (r.server_port == SOURCE_PORT, r.src_port.fill_null(0)),
            (r.server_port == TARGET_PORT, r.dst_port.fill_null(0)),
            else_=ibis.literal(-1, "int32"),
        ).cast("int32"),
        client_port=ibis.cases((r.shows_client_port, r.src_port), else_=ibis.null("int32")),
        sample_uuid=ibis.cases((r.request & (r.uuid != ""), r.uuid), else_=ibis.null("string")),
    )
    return r.group_by("template", "hour", "port").agg(
        records=r.count(),
        first_us=r.time_us.min(),
        last_us=r.time_us.max(),
        client_port_min=r.client_port.min(),
        client_port_max=r.client_port.max(),
        sample=r.sample_uuid.min(),
    )


def hops(count: Any, normalised: Any) -> Any:
    """Counts grouped by what their records show of both ends; owners are the same for all of a pod."""
    n = count.join(normalised, "template")
    return n.group_by(*_HOP_KEYS).agg(
        **{name: (n[name] * n.records).sum().cast("int64") for name in _SUMS},
        **{f"{end}_{name}": n[f"{end}_{name}"].max() for end in ("src", "dst") for name in _OWNER},
        first_us=n.first_us.min(),
        last_us=n.last_us.max(),
        client_port_min=n.client_port_min.min(),
        client_port_max=n.client_port_max.max(),
        sample=n["sample"].min(),
    )


def contacts(hop: Any, label_sets: Any = None) -> Any:
    """Hops turned client to server, with the kind and the name of each end."""
    sets = ibis.table(LABEL_SETS, name="label_sets") if label_sets is None else label_sets
    reply = hop.turn == REPLY
    nothing, no_time = ibis.literal(0, "int64"), ibis.null("int64")
    turned = hop.select(
        *(name for name in _HOP_KEYS if not name.startswith(("src_", "dst_", "at_"))),
        *_SUMS,
        "client_port_min",
        "client_port_max",
        hop["sample"],
        flows=ibis.ifelse(reply, nothing, hop.weight),
        answered=ibis.ifelse(reply, hop.weight, nothing),
        first_us=ibis.ifelse(reply, no_time, hop.first_us),
        last_us=ibis.ifelse(reply, no_time, hop.last_us),
        seen_first_us=hop.first_us,
        seen_last_us=hop.last_us,
        at_client=ibis.ifelse(reply, ~hop.at_source, hop.at_source),
        **{f"client_{name}": ibis.ifelse(reply, hop[f"dst_{name}"], hop[f"src_{name}"]) for name in _END},
        **{f"server_{name}": ibis.ifelse(reply, hop[f"src_{name}"], hop[f"dst_{name}"]) for name in _END},
    )
    for end in ("client", "server"):
        known = sets.group_by("label_key").agg(
            **{
                f"{end}_set_namespace": sets.namespace.max(),
                f"{end}_entity_label": sets.entity.max(),
            }
        )
        turned = turned.left_join(known, turned[f"{end}_key"] == known.label_key).drop("label_key")
    for end in ("client", "server"):
        turned = turned.mutate(**{f"{end}_entity": _entity(turned, end)})
    for end in ("client", "server"):
        turned = turned.mutate(**{f"{end}_kind": _kind(turned, end)})
    return with_day(turned).mutate(
        **{f"{end}_name": _name(turned, end) for end in ("client", "server")},
        **{f"{end}_is_pod": turned[f"{end}_kind"] == "endpoint" for end in ("client", "server")},
    )


def _entity(t: Any, end: str) -> Any:
    """Reserved entity of an end: from its labels, or from its number where it has no labels at all."""
    number = t[f"{end}_identity"]
    numbered = ibis.cases(
        *((number == known, entity) for known, entity in _RESERVED_NUMBERS.items()),
        ((number >= _LOCAL_CIDR) & (number < _LOCAL_NODE), "world"),
        ((number >= _LOCAL_NODE) & (number < _LOCAL_END), "remote-node"),
        else_="",
    )
    return ibis.ifelse(t[f"{end}_key"] == "", numbered, t[f"{end}_entity_label"].fill_null(""))


def _kind(t: Any, end: str) -> Any:
    """Which form of peer an end is (see ``schema``); a service only where no pod or entity was named."""
    entity, key, ip = t[f"{end}_entity"], t[f"{end}_key"], t[f"{end}_ip"]
    named = (t[f"{end}_pod"] != "") | (t[f"{end}_workload"] != "")
    behind_service = (t.service != "") if end == "server" else ibis.literal(False)
    return ibis.cases(
        (entity.isin(_ENTITIES), "entity"),
        ((entity == "") & ((key != "") | named), "endpoint"),
        (behind_service, "service"),
        (entity.isin(_WORLD) & (ip != ""), "ip"),
        (entity.isin(_WORLD), "entity"),
        else_="unresolved",
    )


def _name(t: Any, end: str) -> Any:
    """What stands for an end in an edge: label key, entity, service or address."""
    kind, entity, workload = t[f"{end}_kind"], t[f"{end}_entity"], t[f"{end}_workload"]
    owner = ibis.ifelse(workload != "", t[f"{end}_workload_kind"] + "/" + workload, t[f"{end}_pod"])
    nameless = ibis.literal(UNLABELLED) + t[f"{end}_namespace"] + "/" + owner
    return ibis.cases(
        ((kind == "endpoint") & (t[f"{end}_key"] != ""), t[f"{end}_key"]),
        (kind == "endpoint", nameless),
        ((kind == "entity") & entity.isin(_WORLD), "world"),
        (kind == "entity", entity),
        (kind == "service", t.service),
        else_=t[f"{end}_ip"],
    )


def _decode(column: Any, names: dict[int, str]) -> Any:
    return ibis.cases(*((column == code, name) for code, name in names.items()), else_="")


def merge(rows: Any, table: Table) -> Any:
    """Partial rows of a table merged by key, whoever made them: a batch, compaction or a reader."""
    return _grouped(rows, table, tuple(table.keys)).select(*table.columns)


def _grouped(rows: Any, table: Table, keys: tuple[str, ...]) -> Any:
    """Measures of a table by these of its keys."""
    return rows.group_by(*keys).agg(
        **{name: rows[name].sum().cast("int64") for name in table.sums},
        **{name: rows[name].min() for name in table.minima},
        **{name: rows[name].max() for name in table.maxima},
    )


def _sides(contact: Any) -> Any:
    """Every contact once per end that is a pod, as the row of that subject."""
    shared = [
        *("cluster", "day", "hour", "protocol", "port", "icmp_type", "verdict_class", "turn", "aggregated"),
        *("service", "l7_kind", "l7_method", "l7_route", "drop_reason", "policies"),
        *EDGES.sums,
        *EDGES.minima,
        *EDGES.maxima,
    ]
    c = contact.filter(contact.verdict_class < ASIDE)
    sides = []
    for subject, peer, direction in (("client", "server", "egress"), ("server", "client", "ingress")):
        pods = c.filter(c[f"{subject}_is_pod"])
        seen_here = pods.at_client if subject == "client" else ~pods.at_client
        world = pods[f"{peer}_kind"] == "ip"
        sides.append(
            pods.select(
                *(name for name in shared if name not in ("l7_route", "service")),
                subject=pods[f"{subject}_name"],
                subject_pod=pods[f"{subject}_pod"],
                direction=ibis.literal(direction),
                peer_kind=pods[f"{peer}_kind"],
                peer=pods[f"{peer}_name"],
                peer_pod=pods[f"{peer}_pod"],
                # Names of a client that a server knows, and a resolver's list of all questions, say nothing.
                peer_names=ibis.ifelse(world, pods.names, "") if subject == "client" else ibis.literal(""),
                l7_route=pods.l7_route
                if subject == "client"
                else ibis.ifelse(pods.l7_kind == "dns", "", pods.l7_route),
                service=pods.service if subject == "client" else ibis.literal(""),
                side=ibis.ifelse(seen_here, "subject", "peer"),
            )
        )
    return ibis.union(*sides)


def edges(contact: Any) -> Any:
    """Rows of the edges table."""
    rows = _sides(contact)
    rows = rows.mutate(
        oriented=ibis.ifelse(rows.turn == UNKNOWN, "unknown", "known"),
        verdict=_decode(rows.verdict_class, CLASSES),
    )
    return merge(rows, EDGES)


def edge_pods(contact: Any) -> Any:
    """Which pods stood at the two ends of an edge on a day; replies alone say nothing new."""
    rows = _sides(contact)
    rows = rows.filter(rows.flows > 0)
    return merge(rows.select(*EDGE_PODS.columns), EDGE_PODS)


def _ends(contact: Any) -> Any:
    """Every contact once per end."""
    ends = []
    for end in ("client", "server"):
        c = contact
        own_namespace = c[f"{end}_namespace"]
        set_namespace = c[f"{end}_set_namespace"].fill_null("")
        ends.append(
            c.select(
                "cluster",
                "day",
                first_us=c.seen_first_us,
                last_us=c.seen_last_us,
                flows=c.weight,
                kind=c[f"{end}_kind"],
                label_key=ibis.ifelse(c[f"{end}_is_pod"], c[f"{end}_name"], c[f"{end}_key"]),
                namespace=ibis.ifelse(own_namespace != "", own_namespace, set_namespace),
                entity=c[f"{end}_entity"],
                ip=c[f"{end}_ip"],
                pod=c[f"{end}_pod"],
                workload=c[f"{end}_workload"],
                workload_kind=c[f"{end}_workload_kind"],
                service=c.service if end == "server" else ibis.literal(""),
                identity_min=c[f"{end}_identity"],
                identity_max=c[f"{end}_identity"],
            )
        )
    return ibis.union(*ends)


def identities(contact: Any, label_sets: Any = None) -> Any:
    """Rows of the identities table: what each label key stands for, and who owns it."""
    sets = ibis.table(LABEL_SETS, name="label_sets") if label_sets is None else label_sets
    rows = _ends(contact)
    rows = rows.filter(rows.label_key != "")
    # Labels follow from their key and are ten times as long as all else: they join what is left.
    found = _grouped(rows, IDENTITIES, tuple(key for key in IDENTITIES.keys if key != "labels"))
    known = sets.group_by(set_key=sets.label_key).agg(labels=sets.labels.max())
    joined = found.left_join(known, found.label_key == known.set_key)
    return joined.mutate(labels=joined.labels.fill_null("[]")).select(*IDENTITIES.columns)


def endpoints(contact: Any) -> Any:
    """Rows of the endpoints table: pods, nodes and services with their addresses."""
    rows = _ends(contact)
    service = rows.kind == "service"
    holder = rows.filter(service | (rows.kind == "endpoint") | ((rows.kind == "entity") & (rows.ip != "")))
    service = holder.kind == "service"
    slash_name = holder.service
    holder = holder.mutate(
        label_key=ibis.ifelse(service, "", holder.label_key),
        namespace=ibis.ifelse(service, "", holder.namespace),
        pod=ibis.ifelse(service, "", holder.pod),
        workload=ibis.ifelse(service, slash_name, holder.workload),
        workload_kind=ibis.ifelse(service, "Service", holder.workload_kind),
    )
    return merge(holder.filter((holder.label_key != "") | (holder.workload_kind == "Service")), ENDPOINTS)


def aside(contact: Any) -> Any:
    """Flows that are no edge, by reason: so that what is not in the edges table is still counted."""
    nobody = ~(contact.client_is_pod | contact.server_is_pod)
    c = contact.mutate(
        reason=ibis.cases(
            (contact.verdict_class >= ASIDE, _decode(contact.verdict_class, ASIDES)),
            (nobody, "no_pod"),
            else_="",
        )
    )
    c = c.filter(c.reason != "")
    return c.group_by("cluster", "day", "hour", "reason").agg(
        flows=c.weight.sum().cast("int64"),
        first_us=c.seen_first_us.min(),
        last_us=c.seen_last_us.max(),
    )
