"""The observations of a world in a window, as `models.frames` describes them: no record is ever written."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from jobs.evaluation.frames import Texts, shaped, sorted_rows
from jobs.evaluation.occurrences import address_text, occurrences
from jobs.evaluation.render_aside import aside_counts, aside_edges
from jobs.evaluation.render_pods import Replicas, generations, identities_frame, pods_frame
from jobs.evaluation.render_rest import coverage_frame, lookups_frame, routes_frame
from jobs.evaluation.world import CLUSTER, World
from models import frames
from models.domain.window import Window
from models.frames import Observations

if TYPE_CHECKING:
    from jobs.evaluation.activity import Bools, Ints

DAY_US: Final = 24 * 3600 * 1_000_000
HOUR_US: Final = 3600 * 1_000_000
#: Key of an edge of a window, in the order in which rows are sorted.
EDGE: Final = ("subject", "direction", "peer_kind", "peer", "protocol", "port", "icmp_type")
#: Share of a port's records without answer that are answered by a reset.
_RESETS: Final = 0.3


def observe(world: World, first: int, last: int) -> Observations:
    """
    What was observed in the window of the days ``first`` to ``last`` (exclusive).

    Where it begins within a day, the tables that know no hours (pods, label sets, pods of edges) still hold
    that day from midnight on; nothing was observed yet of what comes after the window.
    """
    uses = occurrences(world, first, last, observed=True)
    texts = Texts()
    untold = np.array([one.untold != "" for one in world.links], dtype=np.bool_)
    badly: Bools = untold[uses["link"].to_numpy()]
    rows = _gates(world, uses[~badly], texts)
    daily, by_day = uses, rows
    if world.parameters.hour:
        daily = occurrences(world, first, last, observed=True, from_midnight=True)
        whole = _gates(world, daily[~untold[daily["link"].to_numpy()]], texts)
        by_day = whole.merge(rows[list(EDGE)].drop_duplicates(), on=list(EDGE))
    edge_days = _edge_days(world, rows, texts)
    aside = aside_edges(world, uses[badly], edge_days)
    pods = generations(world, first, last)
    start = datetime.combine(world.parameters.start, datetime.min.time(), tzinfo=UTC)
    start += timedelta(hours=world.parameters.hour)
    window = Window(start + timedelta(days=first), start + timedelta(days=last))
    return Observations(
        cluster=CLUSTER,
        window=window,
        edge_days=edge_days,
        edge_pods=_edge_pods(world, by_day, texts, pods),
        edge_routes=routes_frame(world, rows, texts),
        identities=identities_frame(world, pods, daily),
        pods=pods_frame(world, pods),
        lookups=lookups_frame(world, uses, first, last),
        coverage=coverage_frame(world, first, last),
        set_aside=sorted_rows(
            [
                {"cluster": CLUSTER, "reason": "multicast", "flows": 40 * (last - first), "edges": 2},
                *aside_counts(aside),
            ],
            frames.SET_ASIDE,
            ["cluster", "reason"],
        ),
        aside_edges=aside,
    )


def _gates(world: World, uses: pd.DataFrame, texts: Texts) -> pd.DataFrame:
    """Each use as egress of its client and ingress of its server, texts as numbers, sorted."""
    link: Any = uses["link"].to_numpy()
    keys = np.array([texts.number(one.key) for one in world.label_sets] or [0], dtype=np.int64)
    entity = np.array([texts.number(one.entity) for one in world.links], dtype=np.int64)[link]
    distinct = np.unique(uses["address"].to_numpy())
    address_of = {
        number: texts.number(address_text(world, number)) for number in distinct.tolist() if number >= 0
    }
    empty = texts.number("")
    address = np.array([address_of.get(number, empty) for number in uses["address"].tolist()], dtype=np.int64)
    names = np.array(
        [_name_number(world, texts, number) for number in range(len(world.links))], dtype=np.int64
    )
    kinds = {kind: texts.number(kind) for kind in ("endpoint", "ip", "entity", "egress", "ingress")}
    protocol = np.array([texts.number(one.protocol) for one in world.links], dtype=np.int64)
    port = np.array([one.port for one in world.links], dtype=np.int64)
    parts = []
    for direction, own, other in (
        ("egress", "client_set", "server_set"),
        ("ingress", "server_set", "client_set"),
    ):
        mine = uses[own].to_numpy() >= 0
        far: Ints = uses[other].to_numpy()[mine]
        here: Ints = link[mine]
        outside = address[mine] != empty
        peer = np.where(far >= 0, keys[far], np.where(outside, address[mine], entity[mine]))
        kind = np.where(far >= 0, kinds["endpoint"], np.where(outside, kinds["ip"], kinds["entity"]))
        parts.append(
            pd.DataFrame(
                {
                    "subject": keys[uses[own].to_numpy()[mine]],
                    "direction": kinds[direction],
                    "peer_kind": kind,
                    "peer": peer,
                    "protocol": protocol[here],
                    "port": port[here],
                    "icmp_type": -1,
                    "names": names[here] if direction == "egress" else empty,
                    "link": here,
                    "day": uses["day"].to_numpy()[mine],
                    "flows": uses["flows"].to_numpy()[mine],
                    "begin": uses["begin"].to_numpy()[mine],
                    "hours": uses["hours"].to_numpy()[mine],
                    "subject_set": uses[own].to_numpy()[mine],
                    "peer_set": far,
                }
            )
        )
    rows = pd.concat(parts, ignore_index=True)
    by = [
        texts.ranks(rows[name].to_numpy()) if name not in ("port", "icmp_type") else rows[name].to_numpy()
        for name in EDGE
    ]
    order = np.lexsort([rows["day"].to_numpy(), *reversed(by)])
    rows = rows.iloc[order].reset_index(drop=True)
    key = [*EDGE, "day"]
    if rows.duplicated(key).any():
        # Workloads with equal labels are one subject to every observer: their records are one row. The
        # first link stands for it, and attacks come last.
        total = rows.groupby(key, sort=False)["flows"].transform("sum")
        rows = rows.assign(flows=total).drop_duplicates(key).reset_index(drop=True)
    return rows


def _name_number(world: World, texts: Texts, number: int) -> int:
    """Number of the name by which the observers know the destination of a link; of "" when they do not."""
    link = world.links[number]
    known = link.outside >= 0 and link.client >= 0 and bool(world.visible[link.client])
    return texts.number(world.outsides[link.outside].name if known else "")


def _edge_days(world: World, rows: pd.DataFrame, texts: Texts) -> pd.DataFrame:
    link, day, flows = (rows[name].to_numpy() for name in ("link", "day", "flows"))
    answered = np.array([one.answered for one in world.links])[link]
    hour = rows["begin"].to_numpy()
    hours = np.minimum(rows["hours"].to_numpy(), flows)
    begin = world.start_us() + day * DAY_US + hour * HOUR_US
    # Links of one hour start one after the other, as a scanner's do.
    first_us = begin + (link * 1_234_567) % (HOUR_US // 2)
    last_us = np.maximum(first_us + (hours - 1) * HOUR_US + (flows > 1) * (HOUR_US // 4), first_us)
    names = texts.column(rows["names"].to_numpy())
    named = np.asarray(rows["names"].to_numpy() != texts.number(""))
    low = np.char.add("00000000-0000-4000-8000-", np.char.zfill(link.astype(str), 8))
    samples = np.char.add(low, np.char.zfill(day.astype(str), 4))
    dates = pd.array(world.dates(), dtype="str").take(day)
    columns = {
        "cluster": CLUSTER,
        **{name: texts.column(rows[name].to_numpy()) for name in EDGE[:5]},
        "port": rows["port"],
        "icmp_type": rows["icmp_type"],
        "peer_names": names,
        "names_from": np.where(named, "flow", ""),
        "day": dates,
        "hour_bits": ((1 << hours) - 1) << hour,
        "flows": flows,
        "connections": flows,
        "answered": np.where(answered, flows, 0),
        "reset": np.where(answered, 0, (flows * _RESETS).astype(np.int64)),
        **dict.fromkeys(("audited", "denied", "l7_denied", "dropped"), 0),
        "drop_reasons": "",
        "replies_visible": True,
        "aggregated": False,
        "own_end": True,
        "first_us": first_us,
        "last_us": last_us,
        "samples": samples,
        "policies": "",
    }
    return shaped(columns, frames.EDGE_DAYS, len(rows))


def _edge_pods(world: World, rows: pd.DataFrame, texts: Texts, pods: pd.DataFrame) -> pd.DataFrame:
    """Distinct pods per edge: as many as that many records reach when any replica may make them."""
    grouped = rows.groupby(list(EDGE), sort=False)
    folded = grouped.agg(link=("link", "first"), day=("day", "first"), last_day=("day", "last")).reset_index()
    edge = np.asarray(grouped.ngroup(), dtype=np.int64)
    found: dict[str, Any] = {}
    replicas = Replicas(world, pods)
    for name, client_at in (("subject_pods", "egress"), ("peer_pods", "ingress")):
        counts = replicas.reached(rows, edge, (rows["direction"] == texts.number(client_at)).to_numpy())
        client = folded["direction"] == texts.number(client_at)
        uses = zip(
            *(folded[each].tolist() for each in ("link", "day", "last_day")), client, counts, strict=True
        )
        names = [
            replicas.ends(int(count), link, (first, last), client=bool(mine))
            for link, first, last, mine, count in uses
        ]
        found[name] = counts
        for end, each in zip(("min", "max"), zip(*names, strict=True) if names else ([], []), strict=True):
            found[f"{name.removesuffix('s')}_{end}"] = list(each)
    columns = {
        "cluster": CLUSTER,
        **{name: texts.column(folded[name].to_numpy()) for name in EDGE[:5]},
        "port": folded["port"],
        "icmp_type": folded["icmp_type"],
        **found,
    }
    return shaped(columns, frames.EDGE_PODS, len(folded))
