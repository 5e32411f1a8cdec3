"""
What an address really was: a pod, a node, a service, or something no policy can name.

Identities reach a node late, so a pod may show as ``world`` or as nothing at all for some seconds;
the address and the day say which pod it was. What fits two is never an address of the outside.
"""

import ipaddress
from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import pandas as pd

from models.domain.cidr import parse_address
from models.domain.special import METADATA_ADDRESSES

#: Pods answer to names through these even though they are link-local: resolvers and cloud credentials.
_DNS_PORT: Final = 53
#: Why an address that nothing explains is no peer.
UNRESOLVED: Final = "unresolved"
_LINK_LOCAL_SERVICES: Final = METADATA_ADDRESSES | {"169.254.169.253", "169.254.170.2", "169.254.170.23"}
_BROADCAST: Final = ipaddress.ip_address("255.255.255.255")
#: An address is looked up on its own day first, then on the day before and after.
_NEAR: Final = timedelta(days=1)
#: Nodes by what a policy would call them, the surest first; "host" is what only the node itself sees.
_NODE_ENTITIES: Final = ("kube-apiserver", "remote-node", "host", "ingress")

#: Kinds of peers that may turn out to be something else, or nothing.
_DOUBTED: Final = ("entity", "ip", "unresolved")

#: Kind and peer of whoever had an address on one day.
_Holders = dict[str, set[tuple[str, str]]]

_CHANGES: Final = ["p_day", "p_kind", "p_peer", "to_kind", "to_peer", "p_aside"]


def each(rows: pd.DataFrame) -> Iterator[Any]:
    """Rows as named tuples, for whose fields there are no types; a column of texts is read at once."""
    return iter(rows.astype(object).itertuples(index=False))


def special(text: str) -> str:
    """Why an address can be no peer of a rule: multicast, loopback, unspecified, malformed …; or ""."""
    address = parse_address(text)
    if address is None:
        return UNRESOLVED
    if address.is_unspecified:
        return "unspecified_address"
    if address.is_multicast:
        return "multicast"
    if address == _BROADCAST:
        return "broadcast"
    if address.is_loopback:
        return "loopback"
    return ""


def link_local(text: str, port: int) -> bool:
    """Whether an address is link-local and no service that pods are meant to use."""
    address = parse_address(text)
    return (
        address is not None
        and address.is_link_local
        and port != _DNS_PORT
        and str(address) not in _LINK_LOCAL_SERVICES
    )


def holders_of(endpoints: pd.DataFrame, entities: dict[str, str]) -> pd.DataFrame:
    """Who had which address on which day: ``day ip kind peer``, one row per holder."""
    holders = endpoints[endpoints["ip"] != ""].copy()
    entity = pd.Series(
        [entities.get(key, "") for key in holders["label_key"].tolist()], holders.index, dtype="str"
    )
    holders["kind"] = entity.eq("").map({True: "endpoint", False: "entity"})
    holders["peer"] = holders["label_key"].where(entity.eq(""), entity)
    usable = holders["label_key"].ne("") & (entity.eq("") | entity.isin(_NODE_ENTITIES))
    return holders.loc[usable, ["day", "ip", "kind", "peer"]].drop_duplicates()


def reused(holders: pd.DataFrame) -> dict[str, frozenset[str]]:
    """Pods' label keys by address, of addresses that passed from one pod to another within a day."""
    pods = holders[holders["kind"].eq("endpoint")]
    several = pods.groupby(["day", "ip"], sort=False)["peer"].nunique()
    twice = several.index[several > 1].get_level_values("ip").unique()
    found = pods[pods["ip"].isin(twice)].groupby("ip", sort=True)["peer"].agg(frozenset)
    return {str(address): keys for address, keys in found.items()}


def peer_changes(peers: pd.DataFrame, holders: pd.DataFrame, services: Container[str]) -> pd.DataFrame:
    """
    Exceptions per day: peers that are something else than their row says, or nothing.

    ``peers`` has one row per ``day peer_kind peer`` of the window; addresses of ``services`` are left
    to ``fold_links``, since what is behind them depends on the port.
    """
    by_day: dict[str, _Holders] = defaultdict(dict)
    for day, address, kind, peer in _tuples(holders, "day", "ip", "kind", "peer"):
        by_day[day].setdefault(address, set()).add((kind, peer))
    known = _Addresses()
    rows = []
    doubted = peers[peers["peer_kind"].isin(_DOUBTED)].sort_values(["day", "peer_kind", "peer"])
    for day, of_day in groupby(_tuples(doubted, "day", "peer_kind", "peer"), key=itemgetter(0)):
        near = [by_day.get(one, {}) for one in (day, *_around(day))]
        for _, kind, peer in of_day:
            change = None if peer in services else _change(kind, peer, near, known)
            if change is not None:
                rows.append((day, kind, peer, *change))
    return pd.DataFrame(rows, columns=_CHANGES, dtype="str")


def _tuples(rows: pd.DataFrame, *columns: str) -> Iterator[tuple[str, ...]]:
    """Rows of texts, a column at a time: there may be one of every peer and day."""
    return zip(*(rows[name].tolist() for name in columns), strict=True)


def _around(day: str) -> tuple[str, str]:
    here = date.fromisoformat(day)
    return (here - _NEAR).isoformat(), (here + _NEAR).isoformat()


class _Addresses(dict[str, tuple[str, str]]):
    """Why an address can be no peer, and how it is written; each is looked at once, not once a day."""

    def __missing__(self, text: str) -> tuple[str, str]:
        self[text] = found = special(text), str(parse_address(text))
        return found


def _change(kind: str, peer: str, near: Sequence[_Holders], known: _Addresses) -> tuple[str, str, str] | None:
    """Kind, peer and reason to set aside of one peer on one day; None where the row is right."""
    if kind == "entity":
        return (kind, peer, "health") if peer == "health" else None
    why, canonical = known[peer]
    if why:
        return kind, peer, why
    held = _held(peer, near)
    found = _holder(held)
    if found is not None:
        return found[0], found[1], ""
    if kind == "unresolved" or held:  # an address of two pods is neither outside nor one of them
        return kind, peer, UNRESOLVED
    return (kind, canonical, "") if canonical != peer else None


def _held(address: str, near: Sequence[_Holders]) -> set[tuple[str, str]]:
    """Holders of an address on a day, else on the days around it."""
    today, *around = near
    own = today.get(address)
    return set().union(*(holders.get(address, ()) for holders in around)) if own is None else own


def _holder(own: set[tuple[str, str]]) -> tuple[str, str] | None:
    """The one holder; None for nobody, or for two."""
    nodes = {peer for kind, peer in own if kind == "entity"}
    if nodes and len(nodes) == len(own):
        return "entity", next(entity for entity in _NODE_ENTITIES if entity in nodes)
    return next(iter(own)) if len(own) == 1 else None


def services_of(endpoints: pd.DataFrame) -> dict[str, str]:
    """Service that has an address; addresses that led to two services in the window are left out."""
    rows = endpoints[endpoints["workload_kind"].eq("Service") & endpoints["label_key"].eq("")]
    names: dict[str, set[str]] = {}
    for row in each(rows):
        if row.ip:
            names.setdefault(row.ip, set()).add(row.workload)
    return {address: next(iter(found)) for address, found in sorted(names.items()) if len(found) == 1}


def backends_of(named: pd.DataFrame) -> dict[tuple[str, str], set[tuple[str, int]]]:
    """Pods and target ports behind each (service, protocol): from records that named service and pod."""
    backends: dict[tuple[str, str], set[tuple[str, int]]] = {}
    for row in each(named):
        backends.setdefault((row.service, row.protocol), set()).add((row.peer, int(row.port)))
    return backends


def behind(
    service: str, protocol: str, port: int, backends: dict[tuple[str, str], set[tuple[str, int]]]
) -> tuple[str, int] | None:
    """Pod and port behind a service address, only where the window leaves no doubt."""
    known = backends.get((service, protocol), set())
    if len(known) == 1:
        return next(iter(known))
    same_port = {backend for backend in known if backend[1] == port}
    return next(iter(same_port)) if len(same_port) == 1 and len({key for key, _ in known}) == 1 else None
