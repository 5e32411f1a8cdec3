"""What became of single links: turned round, led through a service to its pods, or set aside."""

from typing import Any, Final

import pandas as pd

from jobs.observations.fold_direction import (
    AMBIGUOUS,
    MISREPORTED,
    SWAPPED,
    UNMARKED,
    resolve_directions,
)
from jobs.observations.fold_keys import LINK
from jobs.observations.fold_peers import behind, each, link_local

_CHANGES: Final = [
    *(f"c_{name}" for name in LINK),
    *("turned", "swapped", "c_to_kind", "c_to_peer", "to_port", "c_aside"),
]
#: Why a link to a service is no edge: nothing says which pods are behind it, or several workloads are.
UNKNOWN_SERVICE: Final = "service_without_known_pods"
SEVERAL_BACKENDS: Final = "service_of_several_workloads"
#: Why a link to an address that two pods had is no edge: whichever it was, it is called on that port anyhow.
REUSED_ADDRESS: Final = "reused_address"
#: Why a link can be in no rule: its protocol has no ports, or the port is not known, as in a fragment.
UNSUPPORTED_PROTOCOL: Final = "unsupported_protocol"
PORT_ZERO: Final = "port_zero"
#: Kinds of peers that may be a service.
_MAY_BE_SERVICE: Final = ("service", "ip", "unresolved")
_WITH_PORTS: Final = ("TCP", "UDP", "SCTP")
#: Types that are no request of anybody: errors about other packets, and what routers and hosts need
#: of each other (RFC 792, RFC 4443, RFC 4861). Cilium lets the related ones pass by itself.
_ICMP_ERRORS: Final = {"ICMPv4": {3, 4, 5, 11, 12}, "ICMPv6": {1, 2, 3, 4}}
_ICMP_NEIGHBOURS: Final = {"ICMPv4": {9, 10}, "ICMPv6": {*range(130, 138), 143}}


def unfit(protocol: str, port: int, icmp_type: int) -> str:
    """Why a protocol, port or ICMP type can be in no rule; "" when it can."""
    if protocol in _WITH_PORTS:
        return PORT_ZERO if port <= 0 else ""
    if protocol not in _ICMP_ERRORS:
        return UNSUPPORTED_PROTOCOL
    if icmp_type in _ICMP_ERRORS[protocol]:
        return "icmp_error"
    return "icmp_neighbour" if icmp_type in _ICMP_NEIGHBOURS[protocol] else ""


def _peers_by_call(links: pd.DataFrame) -> dict[tuple[Any, ...], set[str]]:
    """Pods at the other end by whose call it is, in which direction and on which port."""
    known = links[links["peer_kind"].eq("endpoint") & links["outcome"].eq("")]
    found: dict[tuple[Any, ...], set[str]] = {}
    for link in each(known[["subject", "direction", "protocol", "port", "peer"]].drop_duplicates()):
        found.setdefault((link.subject, link.direction, link.protocol, int(link.port)), set()).add(link.peer)
    return found


def _service_of(link: Any, services: dict[str, str]) -> str:
    """Name of the service that a link leads to; "" for none."""
    if link.peer_kind not in _MAY_BE_SERVICE:
        return ""
    return str(link.peer) if link.peer_kind == "service" else services.get(link.peer, "")


def _led(
    links: pd.DataFrame, services: dict[str, str], backends: dict[tuple[str, str], set[tuple[str, int]]]
) -> pd.DataFrame:
    """Questions to services as ways to the pods behind them; ``server`` "" where no record named any."""
    # Addresses outside are many, and are not looked at one by one.
    asked = links[
        links["direction"].eq("egress")
        & (links["peer_kind"].eq("service") | links["peer"].isin(list(services)))
    ]
    found = set()
    for link in each(asked):
        if service := _service_of(link, services):
            known = backends.get((service, link.protocol), set())
            ends = {(f"endpoint|{pod}", port) for pod, port in known} or {("", int(link.port))}
            found |= {(f"endpoint|{link.subject}", server, link.protocol, port) for server, port in ends}
    frame = pd.DataFrame(sorted(found), columns=["client", "server", "protocol", "port"])
    return frame.astype({"client": "str", "server": "str", "protocol": "str", "port": "int32"})


def link_changes(
    links: pd.DataFrame,
    services: dict[str, str],
    backends: dict[tuple[str, str], set[tuple[str, int]]],
    reused: dict[str, frozenset[str]],
) -> pd.DataFrame:
    """
    Exceptions per link.

    ``services`` gives the name of the service that has an address, ``backends`` the pods behind it, and
    ``reused`` the pods that had an address after one another.
    """
    rows: list[tuple[Any, ...]] = []
    resolved = resolve_directions(links, _led(links, services, backends)).sort_values(list(LINK))
    pods = _peers_by_call(resolved) if reused else {}
    for link in each(resolved):
        turned, swapped = link.outcome in (MISREPORTED, UNMARKED), link.outcome == SWAPPED
        port = int(link.own_port) if turned or swapped else int(link.port)
        kind = peer = None
        to_port = port if turned or swapped else None
        aside = link.outcome if link.outcome == AMBIGUOUS else unfit(link.protocol, port, int(link.icmp_type))
        service = _service_of(link, services)
        if not aside and service:
            found = behind(service, link.protocol, port, backends)
            if found is None:
                # what several pods are behind was translated, and shows as links to them
                aside = SEVERAL_BACKENDS if (service, link.protocol) in backends else UNKNOWN_SERVICE
            else:
                kind, (peer, to_port) = "endpoint", found
        elif not aside and link.peer_kind == "ip" and link_local(link.peer, port):
            aside = "link_local"
        told = aside or None
        if not aside and link.peer in reused and link.peer_kind in ("ip", "unresolved"):
            called = reused[link.peer] & pods.get((link.subject, link.direction, link.protocol, port), set())
            if len(called) == 1:
                kind, (peer,), to_port = "endpoint", called, port
                told = ""  # whatever the day says of the address
            elif called:
                told = REUSED_ADDRESS
        if turned or swapped or told or kind:
            rows.append((*(getattr(link, name) for name in LINK), turned, swapped, kind, peer, to_port, told))
    frame = pd.DataFrame(rows, columns=_CHANGES)
    texts = [
        name for name in _CHANGES if name not in ("c_port", "c_icmp_type", "turned", "swapped", "to_port")
    ]
    return frame.astype(
        dict.fromkeys(texts, "str")
        | {"turned": "bool", "swapped": "bool", "to_port": "Int32", "c_port": "int32", "c_icmp_type": "int32"}
    )
