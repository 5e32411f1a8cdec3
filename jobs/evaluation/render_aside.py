"""What is in no edge although it may have worked, as the fold of the store tells it."""

from typing import Any, Final

import pandas as pd

from jobs.evaluation.nouns import Link
from jobs.evaluation.untold import AMBIGUOUS, CLIENT_PORTS, REPLY_ONLY, SERVICE, UNRESOLVED
from jobs.evaluation.world import CLUSTER, HOUR_US, World
from jobs.observations.fold_direction import arcs_of
from models import frames

_EDGE: Final = ["subject", "direction", "peer_kind", "peer", "protocol", "port", "icmp_type"]
_HOSTS: Final = 250
_DAY_US: Final = 24 * HOUR_US


def aside_edges(world: World, uses: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    """
    ASIDE_EDGES of uses that are told badly.

    Parameters
    ----------
    uses
        Of the window, of links that say how they are told.
    told
        EDGE_DAYS: where the same edge is told by others, replies alone are answers to them.
    """
    rows = [one for use in uses.to_dict("records") for one in _rows(world, use)]
    if not rows:
        return frames.empty(frames.ASIDE_EDGES)
    grouped = pd.DataFrame(rows).groupby(["reason", *_EDGE], as_index=False, sort=True)
    made = grouped.agg(
        flows=("flows", "sum"),
        answered=("answered", "sum"),
        days=("day", "nunique"),
        first_us=("first_us", "min"),
        last_us=("last_us", "max"),
    )
    known = pd.MultiIndex.from_frame(told[_EDGE])
    answers = (made["reason"] == REPLY_ONLY) & pd.MultiIndex.from_frame(made[_EDGE]).isin(known)
    kept: pd.DataFrame = made[~answers].assign(cluster=CLUSTER).reset_index(drop=True)
    return kept[list(frames.ASIDE_EDGES)].astype(frames.ASIDE_EDGES)


def aside_counts(aside: pd.DataFrame) -> list[dict[str, object]]:
    """Rows of SET_ASIDE: a contact of two pods counts once, and replies are no flows."""
    if aside.empty:
        return []
    arcs = arcs_of(aside.assign(flows=aside["flows"].where(aside["reason"] != REPLY_ONLY, 0)))
    contact = ["reason", "client", "server", "protocol", "port", "icmp_type"]
    once = arcs.groupby(contact, as_index=False)["flows"].max()
    counted: Any = once.groupby("reason", as_index=False).agg(flows=("flows", "sum"), edges=("flows", "size"))
    return [{"cluster": CLUSTER, **{str(k): v for k, v in row.items()}} for row in counted.to_dict("records")]


def service_name(link: Link) -> str:
    """Service that a link calls by an address without pods."""
    return f"platform/legacy-{link.outside}"


def strange_address(workload: int) -> str:
    """Address that stands for a workload on the way and that no record says anything about."""
    return f"10.245.{workload // _HOSTS}.{workload % _HOSTS + 1}"


def _rows(world: World, use: dict[Any, Any]) -> list[dict[str, object]]:
    """A use as seen at the gates where it is recorded."""
    link = world.links[use["link"]]
    flows, begin = int(use["flows"]), world.start_us() + int(use["day"]) * _DAY_US
    first = begin + int(use["begin"]) * HOUR_US
    last = first + (min(int(use["hours"]), flows) - 1) * HOUR_US
    base = {
        "reason": link.untold,
        "protocol": link.protocol,
        "icmp_type": -1,
        "day": use["day"],
        "flows": flows,
        "answered": flows if link.untold in (REPLY_ONLY, UNRESOLVED) else 0,
        # What is only known by its replies is known by the day.
        "first_us": begin if link.untold == REPLY_ONLY else first,
        "last_us": begin if link.untold == REPLY_ONLY else last,
    }

    def at(own: str, direction: str, kind: str, peer: str, port: int = link.port) -> dict[str, object]:
        key = world.label_sets[use[own]].key
        return {**base, "subject": key, "direction": direction, "peer_kind": kind, "peer": peer, "port": port}

    if link.untold == SERVICE:
        return [at("client_set", "egress", "service", service_name(link))]
    if link.untold == UNRESOLVED:
        return [
            at("client_set", "egress", "unresolved", strange_address(link.server)),
            at("server_set", "ingress", "unresolved", strange_address(link.client)),
        ]
    client, server = (world.label_sets[use[end]].key for end in ("client_set", "server_set"))
    rows = [
        at("client_set", "egress", "endpoint", server),
        at("server_set", "ingress", "endpoint", client),
    ]
    if link.untold == AMBIGUOUS:
        # The answers may as well be requests, to the port that the client called from.
        back = link.port + CLIENT_PORTS
        rows.append(at("server_set", "egress", "endpoint", client, back))
        rows.append(at("client_set", "ingress", "endpoint", server, back))
    return rows
