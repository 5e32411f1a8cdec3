"""
The checks of Cilium's agent (``pkg/policy/api/rule_validation.go``): what the schema lets through.

They run on one rule (``spec``, or an element of ``specs``) whose schema is in order, and mirror the
agent's conditions; messages are ours and carry the path.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import re2

from models.domain.agent import AgentConfig
from models.domain.cidr import holds, parse_prefix
from models.domain.labels import split_selector_key
from models.manifest.validate_nodes import Problem, shown
from models.manifest.validate_schema import ICMP_NAMES

MAX_PORTS: Final = 40  # per toPorts element; the schema does not say so for deny entries
MAX_EXPRESSION: Final = 4096  # characters of an HTTP expression we compile
MAX_PORT_NAME: Final = 15  # characters, RFC 6335

Rule = Mapping[str, Any]

_QUIET: Final = re2.Options()
_QUIET.log_errors = False
_LABEL_NAME: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_LABEL_PREFIX: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_FQDN_CHARACTERS: Final = re.compile(r"[-a-zA-Z0-9_.*]+")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]*|0[0-7]+|0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+")

_SECTIONS: Final = (
    ("ingress", "from", False),
    ("ingressDeny", "from", True),
    ("egress", "to", False),
    ("egressDeny", "to", True),
)
_PEER_KEYS: Final = ("Endpoints", "CIDR", "CIDRSet", "Entities", "Nodes", "Groups")


def is_port_name(text: str) -> bool:
    """
    Whether a port is a name (RFC 6335): letters, digits, single dashes inside, one letter at least.

    Examples
    --------
    >>> is_port_name("http"), is_port_name("0x50"), is_port_name("8080"), is_port_name("a--b")
    (True, True, False, False)
    """
    return (
        0 < len(text) <= MAX_PORT_NAME
        and text.isascii()
        and all(part.isalnum() for part in text.split("-"))
        and any(character.isalpha() for character in text)
    )


def agent_problems(rule: Rule, path: str, config: AgentConfig, *, namespaced: bool) -> Iterator[Problem]:
    """Why the agent would refuse one schema-valid rule."""
    if not any(rule.get(section) for section, _, _ in _SECTIONS):
        yield _problem(
            path, "has no ingress, ingressDeny, egress or egressDeny entry, so it enforces nothing"
        )
    if "nodeSelector" in rule and namespaced:
        yield _problem(f"{path}.nodeSelector", "only a CiliumClusterwideNetworkPolicy may select nodes")
    bare = not config.release.source_in_key
    for key in ("endpointSelector", "nodeSelector"):
        if key in rule:
            yield from selector_problems(rule[key], f"{path}.{key}", bare=bare)
    for section, side, denies in _SECTIONS:
        for index, entry in enumerate(rule.get(section, ())):
            place = f"{path}.{section}[{index}]"
            yield from _peer_problems(entry, side, place, config)
            yield from _port_problems(
                entry, place, config, denies=denies, ingress=side == "from", host="nodeSelector" in rule
            )


def _problem(path: str, message: str) -> Problem:
    return Problem(path, message, "agent")


def selector_problems(
    selector: Rule, path: str, prefix: str | None = None, *, bare: bool = False
) -> Iterator[Problem]:
    """What the Kubernetes validation of a label selector refuses; `bare`: keys without their source."""
    for key in selector.get("matchLabels", {}):
        yield from _key_problems(key, f"{path}.matchLabels", prefix, bare=bare)
    for index, expression in enumerate(selector.get("matchExpressions", ())):
        place = f"{path}.matchExpressions[{index}]"
        yield from _key_problems(expression["key"], f"{place}.key", prefix, bare=bare)
        values = expression.get("values") or ()
        if expression["operator"] in ("In", "NotIn"):
            if not values:
                yield _problem(f"{place}.values", f"{expression['operator']} needs at least one value")
            for value in values:
                if len(value) > 63 or (value and not _LABEL_NAME.fullmatch(value)):
                    yield _problem(f"{place}.values", f"{shown(value)} is no label value")
        elif values:
            yield _problem(f"{place}.values", f"{expression['operator']} takes no values")


def _key_problems(key: str, path: str, prefix: str | None, *, bare: bool) -> Iterator[Problem]:
    source, own = split_selector_key(key)
    extended = f"{prefix}.{key}" if prefix else f"{source}.{own}"
    if bare:
        extended = own
    domain, slash, name = extended.rpartition("/")
    bad_domain = slash and (len(domain) > 253 or not _LABEL_PREFIX.fullmatch(domain))
    if bad_domain or len(name) > 63 or not _LABEL_NAME.fullmatch(name):
        yield _problem(path, f"{shown(key)} is no label key")


def _peer_problems(entry: Rule, side: str, path: str, config: AgentConfig) -> Iterator[Problem]:
    keys = [f"{side}{key}" for key in _PEER_KEYS]
    keys += ["toServices", "toFQDNs"] if side == "to" else []
    used = [key for key in keys if entry.get(key)]
    if len(used) > 1:
        yield _problem(path, f"combines {' and '.join(used)}; write one peer kind per entry")
    if entry.get(f"{side}Nodes") and not config.node_selector_labels:
        yield _problem(f"{path}.{side}Nodes", "needs the agent setting enable-node-selector-labels")
    bare = not config.release.source_in_key
    for key in (f"{side}Endpoints", f"{side}Nodes", f"{side}Requires"):
        for index, selector in enumerate(entry.get(key) or ()):
            yield from selector_problems(selector, f"{path}.{key}[{index}]", bare=bare)
    for index, element in enumerate(entry.get(f"{side}CIDRSet") or ()):
        yield from _cidr_problems(element, f"{path}.{side}CIDRSet[{index}]", config)
    for index, element in enumerate(entry.get("toFQDNs") or ()):
        yield from _fqdn_problems(element, f"{path}.toFQDNs[{index}]")


def _cidr_problems(element: Rule, path: str, config: AgentConfig) -> Iterator[Problem]:
    if "cidrGroupSelector" in element:
        yield from selector_problems(element["cidrGroupSelector"], f"{path}.cidrGroupSelector", "cidrgroup")
    prefix = parse_prefix(element["cidr"]) if "cidr" in element else None
    if prefix is None:
        return
    for text in element.get("except", ()):
        hole = parse_prefix(text)
        if hole is None:
            continue
        # The agent compares the address as written, host bits included, up to 1.19.
        start = parse_prefix(f"{text.partition('/')[0]}/{hole.max_prefixlen}")
        inside = start is not None and holds(prefix, start.network_address)
        if config.release.except_within_prefix:
            inside = inside and hole.prefixlen >= prefix.prefixlen
        if not inside:
            yield _problem(f"{path}.except", f"{shown(text)} is not inside {shown(element['cidr'])}")


def _fqdn_problems(element: Rule, path: str) -> Iterator[Problem]:
    for key in ("matchName", "matchPattern"):
        text = element.get(key)
        if text is not None and not _FQDN_CHARACTERS.fullmatch(text):
            yield _problem(f"{path}.{key}", f"{shown(text)} has characters that no DNS name has")


def _port_problems(
    entry: Rule, path: str, config: AgentConfig, *, denies: bool, ingress: bool, host: bool
) -> Iterator[Problem]:
    if entry.get("icmps") and entry.get("toPorts"):
        yield _problem(path, "combines icmps and toPorts; write two entries")
    for index, element in enumerate(entry.get("icmps") or ()):
        yield from _icmp_problems(element, f"{path}.icmps[{index}]")
    for index, element in enumerate(entry.get("toPorts") or ()):
        place = f"{path}.toPorts[{index}]"
        rules = {} if denies else element.get("rules") or {}
        kinds = {kind for kind in ("http", "dns", "kafka", "l7") if rules.get(kind)}
        if host and (kinds if ingress else kinds & {"http", "kafka"}):
            yield _problem(f"{place}.rules", "a host policy cannot have these layer 7 rules")
        if ingress and "dns" in kinds:
            yield _problem(f"{place}.rules.dns", "DNS rules work on egress only")
        if kinds and element.get("serverNames") and "terminatingTLS" not in element:
            yield _problem(f"{place}.serverNames", "needs terminatingTLS beside layer 7 rules")
        if "" in (element.get("serverNames") or ()):
            yield _problem(f"{place}.serverNames", "an empty server name is not allowed")
        if "listener" in element and (ingress or kinds):
            yield _problem(f"{place}.listener", "works on egress only and without layer 7 rules")
        yield from _number_problems(element.get("ports") or (), place, config, kinds)
        yield from _l7_problems(rules, place, kinds, has_ports=bool(element.get("ports")))


def _number_problems(
    ports: Sequence[Rule], path: str, config: AgentConfig, kinds: set[str]
) -> Iterator[Problem]:
    if len(ports) > MAX_PORTS:
        yield _problem(f"{path}.ports", f"has {len(ports)} ports; at most {MAX_PORTS} are allowed")
    for index, port in enumerate(ports):
        place = f"{path}.ports[{index}]"
        text, protocol = port.get("port", ""), port.get("protocol", "ANY")
        portless = protocol not in ("TCP", "UDP", "SCTP", "ANY")
        if portless and not config.extended_protocols:
            yield _problem(f"{place}.protocol", f"{protocol} needs enable-extended-ip-protocols")
        elif portless and text not in ("", "0"):
            yield _problem(f"{place}.port", f"must be empty or 0 for {protocol}")
        if not text and not config.extended_protocols:
            yield _problem(f"{place}.port", "is required")
        if text and not is_port_name(text):
            yield from _digit_problems(port, port_number(text), place, kinds)
        if kinds - {"dns"} and protocol != "TCP":
            yield _problem(f"{place}.protocol", f"layer 7 rules need TCP, not {protocol}")


def _digit_problems(port: Rule, number: int | None, path: str, kinds: set[str]) -> Iterator[Problem]:
    if number is None:
        yield _problem(f"{path}.port", f"{shown(port['port'])} is no port from 0 to 65535")
    elif "dns" in kinds and port.get("endPort", 0) > number:
        yield _problem(f"{path}.endPort", "DNS rules do not take port ranges")
    elif kinds and number == 0:
        yield _problem(f"{path}.port", "layer 7 rules need one port, not 0")


def port_number(text: str) -> int | None:
    """A port as the agent reads it (Go's number literals, 0x and octal included), or ``None``."""
    if len(text) > 20 or not _NUMBER.fullmatch(text):
        return None
    octal = len(text) > 1 and text[0] == "0" and text[1].isdigit()
    number = int(text, 8) if octal else int(text, 0)
    return number if number <= 65535 else None


def _icmp_problems(element: Rule, path: str) -> Iterator[Problem]:
    for index, item in enumerate(element.get("fields") or ()):
        kind, family = item["type"], item.get("family", "IPv4")
        number = port_number(str(kind)) if isinstance(kind, str) or 0 <= kind <= 65535 else None
        if number is None and kind not in ICMP_NAMES[family]:
            yield _problem(f"{path}.fields[{index}].type", f"{shown(kind)} is no {family} ICMP type")


def _l7_problems(rules: Rule, path: str, kinds: set[str], *, has_ports: bool) -> Iterator[Problem]:
    if not kinds:
        return
    if "dns" in kinds and not has_ports:
        yield _problem(f"{path}.ports", "DNS rules need their port")
    if "l7" in kinds and not rules.get("l7proto"):
        yield _problem(f"{path}.rules.l7", "needs l7proto")
    for index, element in enumerate(rules.get("dns") or ()):
        yield from _fqdn_problems(element, f"{path}.rules.dns[{index}]")
    for index, element in enumerate(rules.get("http") or ()):
        for key in ("path", "method"):
            text = element.get(key)
            if text and not _compiles(text):
                yield _problem(
                    f"{path}.rules.http[{index}].{key}", f"{shown(text)} is no expression that RE2 compiles"
                )
    for index, element in enumerate(rules.get("kafka") or ()):
        if element.get("role") and element.get("apiKey"):
            yield _problem(f"{path}.rules.kafka[{index}]", "has both role and apiKey")


def _compiles(text: str) -> bool:
    if len(text) > MAX_EXPRESSION:
        return False
    try:
        re2.compile(text, _QUIET)
    except re2.error:
        return False
    return True
