"""``toPorts`` and ``icmps`` of manifests to port rules."""

from collections.abc import Mapping
from typing import Any, Final

from models.domain.fqdn import FqdnSelector
from models.domain.policy import HeaderMatch, HttpRule, L7Rules, NamedPort, PortRule
from models.domain.portset import ANY_PROTOCOL, MAX_PORT, PortRange, Protocol
from models.manifest.validate_agent import is_port_name, port_number
from models.manifest.validate_schema import ICMP_NAMES

_ICMP_PROTOCOL: Final = {"IPv4": Protocol.ICMP, "IPv6": Protocol.ICMPV6}


def port_rules(entry: Mapping[str, Any], path: str, *, denies: bool) -> tuple[PortRule, ...] | None:
    """
    Port elements of one entry, each with its place.

    Returns
    -------
    tuple of PortRule or None
        ``None`` when the entry names no port and no ICMP type: every protocol and port.
    """
    rules = [
        _port_rule(element, f"{path}.toPorts[{index}]", denies=denies)
        for index, element in enumerate(entry.get("toPorts") or ())
    ]
    rules += [
        PortRule(f"{path}.icmps[{index}]", tuple(_icmp_range(item) for item in element.get("fields") or ()))
        for index, element in enumerate(entry.get("icmps") or ())
    ]
    return tuple(rules) or None


def _port_rule(element: Mapping[str, Any], path: str, *, denies: bool) -> PortRule:
    ranges: list[PortRange] = []
    named: list[NamedPort] = []
    for port in element.get("ports") or ():
        protocol = port.get("protocol", "ANY")
        protocols = ANY_PROTOCOL if protocol == "ANY" else (Protocol(protocol),)
        text = port.get("port", "")
        if is_port_name(text):
            named.append(NamedPort(text.lower(), tuple(p.value for p in protocols)))
        else:
            ranges += [numeric_range(p, port_number(text) or 0, port.get("endPort", 0)) for p in protocols]
    return PortRule(path, tuple(ranges), tuple(named), None if denies else _l7(element))


def numeric_range(protocol: Protocol, first: int, end: int) -> PortRange:
    """
    One numeric port with its ``endPort``: 0 is every port, a lower ``endPort`` is ignored.

    Examples
    --------
    >>> str(numeric_range(Protocol.TCP, 0, 0)), str(numeric_range(Protocol.TCP, 80, 70))
    ('TCP/*', 'TCP/80')
    """
    if first == 0 and end == 0:
        return PortRange(protocol, 0, MAX_PORT)
    return PortRange(protocol, first, max(first, end))


def _icmp_range(item: Mapping[str, Any]) -> PortRange:
    family, kind = item.get("family", "IPv4"), str(item["type"])
    number = int(kind) if kind.isdigit() else ICMP_NAMES[family][kind]
    # The agent turns a type into a port, and port 0 means every port: type 0 selects every type.
    return numeric_range(_ICMP_PROTOCOL[family], number, 0)


def _l7(element: Mapping[str, Any]) -> L7Rules | None:
    rules = element.get("rules") or {}
    http = tuple(_http(item) for item in rules.get("http") or ())
    dns = tuple(fqdn_selector(item) for item in rules.get("dns") or ())
    names = tuple(element.get("serverNames") or ())
    other = None
    if element.get("listener"):
        other = "listener"
    elif rules.get("kafka"):
        other = "kafka"
    elif rules.get("l7proto"):
        other = f"l7proto {rules['l7proto']}"
    if not (http or dns or names or other):
        return None
    return L7Rules(http, dns, names, other)


def fqdn_selector(item: Mapping[str, Any]) -> FqdnSelector:
    """``matchName`` or ``matchPattern``."""
    return FqdnSelector(item.get("matchName"), item.get("matchPattern"))


def _http(item: Mapping[str, Any]) -> HttpRule:
    return HttpRule(
        item.get("method") or None,
        item.get("path") or None,
        item.get("host") or None,
        tuple(item.get("headers") or ()),
        tuple(
            HeaderMatch(
                match["name"], None if "secret" in match else match.get("value", ""), "mismatch" in match
            )
            for match in item.get("headerMatches") or ()
        ),
    )
