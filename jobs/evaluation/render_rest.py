"""Lookups, routes and coverage of a window."""

from typing import Final

import numpy as np
import pandas as pd

from jobs.evaluation.frames import Texts, shaped, sorted_rows
from jobs.evaluation.world import CLUSTER, World
from models import frames

HOURS: Final = 24
HOUR_SECONDS: Final = 3600
HOUR_US: Final = HOUR_SECONDS * 1_000_000
DAY_US: Final = HOURS * HOUR_US
#: Nodes of every world.
NODES: Final = 3
#: Hour at which a missing node goes, and for how long.
_GAP_FROM: Final = 9
_GAP_HOURS: Final = 5
_NXDOMAIN: Final = 3
#: Search-list expansions that every lookup of a short name causes.
_SEARCH: Final = "{name}.{namespace}.svc.cluster.local"


def routes_frame(world: World, rows: pd.DataFrame, texts: Texts) -> pd.DataFrame:
    """EDGE_ROUTES: the questions that the DNS proxy saw."""
    kind = np.array([one.kind == "dns" and bool(world.visible[one.client]) for one in world.links])
    asked = rows[kind[rows["link"].to_numpy()]]
    key = ["subject", "direction", "peer_kind", "peer", "protocol"]
    folded = asked.groupby([*key, "port"], sort=False).agg(flows=("flows", "sum"), days=("day", "nunique"))
    folded = folded.reset_index()
    columns = {
        "cluster": CLUSTER,
        **{name: texts.column(folded[name].to_numpy()) for name in key},
        "port": folded["port"],
        "l7_kind": "dns",
        "l7_method": "",
        "l7_route": "",
        "flows": folded["flows"],
        "l7_denied": 0,
        "days": folded["days"],
    }
    return shaped(columns, frames.EDGE_ROUTES, len(folded))


def lookups_frame(world: World, uses: pd.DataFrame, first: int, last: int) -> pd.DataFrame:
    """LOOKUPS: names of destinations, search-list misses, and what intruders asked for."""
    named = np.array(
        [
            one.outside >= 0 and one.client >= 0 and bool(world.visible[one.client])
            and world.outsides[one.outside].name != ""
            for one in world.links
        ]
    )  # fmt: skip
    own = uses[named[uses["link"].to_numpy()]]
    start = world.start_us()
    own = own.assign(asked_us=start + own["day"] * DAY_US + own["begin"] * HOUR_US)
    folded = own.groupby(["client_set", "link"], sort=True).agg(
        lookups=("flows", "sum"),
        addresses=("address", "nunique"),
        days=("day", "nunique"),
        first=("asked_us", "min"),
        last=("asked_us", "max"),
    )
    rows = []
    for row in folded.reset_index().itertuples(index=False):
        link = world.links[int(row.link)]
        name = world.outsides[link.outside].name
        base = {
            "cluster": CLUSTER,
            "subject": world.label_sets[int(row.client_set)].key,
            "lookups": int(row.lookups),
            "days": int(row.days),
            "first_us": int(row.first),
            "last_us": int(row.last),
        }
        rows.append({**base, "name": name, "rcode": 0, "addresses": int(row.addresses)})
        missed = _SEARCH.format(name=name, namespace=world.workloads[link.client].namespace)
        rows.append({**base, "name": missed, "rcode": _NXDOMAIN, "addresses": 0})
    for question in world.questions:
        if first <= question.day < last and bool(world.visible[question.client]):
            label_set = world.label_sets[int(world.label_set_of[question.client, question.day])]
            asked = world.window_us(question.day, last)[0]
            rows.append(
                {
                    "cluster": CLUSTER,
                    "subject": label_set.key,
                    "name": question.name,
                    "rcode": _NXDOMAIN if question.missed else 0,
                    "lookups": 1,
                    "addresses": 0 if question.missed else 1,
                    "days": 1,
                    "first_us": asked,
                    "last_us": asked,
                }
            )
    keys = ["cluster", "subject", "name", "rcode"]
    made = sorted_rows(rows, frames.LOOKUPS, keys)
    merged = made.groupby(keys, as_index=False, sort=True).agg(
        {"lookups": "sum", "addresses": "max", "days": "max", "first_us": "min", "last_us": "max"}
    )
    return merged[list(frames.LOOKUPS)].astype(frames.LOOKUPS)


def coverage_frame(world: World, first: int, last: int) -> pd.DataFrame:
    """COVERAGE: every hour of the window, with the losses and gaps of its day."""
    caught = world.caught.sum(axis=0)
    start = world.start_us() // HOUR_US
    begin, end = (moment // HOUR_US for moment in world.window_us(first, last))
    dates = world.dates()
    rows = []
    for day in world.calendar(first, last):
        hourly = int(caught[day]) // HOURS
        lost = float(world.seen.lost[day])
        for hour in range(HOURS):
            if not begin <= start + day * HOURS + hour < end:
                continue
            gone = bool(world.seen.gap[day]) and _GAP_FROM <= hour < _GAP_FROM + _GAP_HOURS
            nodes = NODES - gone
            rows.append(
                {
                    "cluster": CLUSTER,
                    "day": dates[day],
                    "hour": start + day * HOURS + hour,
                    "nodes": nodes,
                    "expected_nodes": NODES,
                    "seconds": nodes * HOUR_SECONDS,
                    "flows": hourly,
                    "replies": hourly,
                    "lost_events": round(2 * hourly * lost / (1.0 - lost)),
                    "rejects": 0,
                    "skipped": 0,
                }
            )
    return sorted_rows(rows, frames.COVERAGE, ["cluster", "day", "hour"])
