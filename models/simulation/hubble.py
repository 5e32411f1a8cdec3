"""
One decoded Hubble flow to the question an evaluator is asked, or the reason why there is none.

Replies, drops that policy did not cause, and records whose direction cannot be known are no questions.
What Hubble said of the flow is kept beside it, so a simulation can be compared with what happened.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from models.domain.labels import CLUSTER_KEY, NAMESPACE_KEY
from models.domain.policy import Direction
from models.simulation.context import DnsQuestion, HttpRequest, L7Request, PolicyFlow, Side

POLICY_DROPS: Final = ("POLICY_DENIED", "POLICY_DENY", "DENIED_BY_LB_SRC_RANGE_CHECK", 133, 181)
POLICY_VERDICT_EVENT: Final = 5
L7_EVENT: Final = 129

_PROTOCOLS: Final = {"TCP": "TCP", "UDP": "UDP", "SCTP": "SCTP", "ICMPv4": "ICMP", "ICMPv6": "ICMPv6"}
_CAMEL: Final = {
    "is_reply": "isReply",
    "traffic_direction": "trafficDirection",
    "destination_names": "destinationNames",
    "source_names": "sourceNames",
    "drop_reason_desc": "dropReasonDesc",
    "drop_reason": "dropReason",
    "event_type": "eventType",
    "destination_port": "destinationPort",
    "ip_version": "ipVersion",
}
_RESERVED: Final = {
    1: "host", 2: "world", 3: "unmanaged", 4: "health", 5: "init", 6: "remote-node", 8: "ingress",
    9: "world-ipv4", 10: "world-ipv6",
}  # fmt: skip
_DIRECTIONS: Final[dict[str | int | None, Direction]] = {
    "INGRESS": Direction.INGRESS, 1: Direction.INGRESS, "EGRESS": Direction.EGRESS, 2: Direction.EGRESS,
}  # fmt: skip
_TRUTH: Final = {"true": True, "false": False}  # log stores turn truth values into words
_ICMP_REQUESTS: Final = {"ICMPv4": 8, "ICMPv6": 128}


@dataclass(frozen=True, slots=True)
class ObservedFlow:
    """
    One Hubble flow as a question.

    Parameters
    ----------
    question
        ``None`` when the record asks nothing of policy.
    skipped
        Why there is no question; empty when there is one.
    hubble
        ``allowed``, ``denied`` (by policy), ``audited``, or ``other``.
    about
        Short text that names the flow in a table.
    """

    question: PolicyFlow | None
    skipped: str
    hubble: str
    about: str


def flow_to_policyflow(record: Mapping[str, Any]) -> ObservedFlow:
    """
    Read one record: a flow, or an envelope around one.

    Parameters
    ----------
    record
        Decoded protojson, snake_case or camelCase; fields may be missing.
    """
    flow = record.get("flow", record)
    if not isinstance(flow, Mapping) or not {"source", "destination", "IP", "l4"} & set(flow):
        return ObservedFlow(None, "no flow record", "other", "")
    hubble = _outcome(flow)
    protocol, ports = _layer_four(flow)
    about = _about(flow, protocol, ports)
    if reason := _unasked(flow, hubble, protocol, ports):
        return ObservedFlow(None, reason, hubble, about)
    direction = _DIRECTIONS.get(_word(flow, "traffic_direction"))
    question = PolicyFlow(
        direction,
        _side(flow, "source"),
        _side(flow, "destination"),
        _PROTOCOLS.get(protocol or ""),
        _number(ports, "type") if protocol in _ICMP_REQUESTS else _number(ports, "destination_port"),
        _request(flow),
    )
    return ObservedFlow(question, "", hubble, about)


def _outcome(flow: Mapping[str, Any]) -> str:
    verdict = _word(flow, "verdict")
    if verdict in ("FORWARDED", "REDIRECTED", 1, 5):
        return "allowed"
    if verdict in ("AUDIT", 4):
        return "audited"
    by_policy = {_word(flow, "drop_reason_desc"), _word(flow, "drop_reason")} & set(POLICY_DROPS)
    at_l7 = flow.get("l7") is not None
    return "denied" if verdict in ("DROPPED", 2) and (by_policy or at_l7) else "other"


def _unasked(flow: Mapping[str, Any], hubble: str, protocol: str | None, ports: Mapping[str, Any]) -> str:
    """Why a record asks nothing of policy; empty when it does."""
    if hubble == "other":
        return "neither forwarded nor dropped by policy"
    if protocol in _ICMP_REQUESTS and _number(ports, "type") != _ICMP_REQUESTS[protocol]:
        return "an ICMP answer or error"
    reply = _TRUTH.get(str(_get(flow, "is_reply")).lower())
    if reply is True or (isinstance(flow.get("l7"), Mapping) and flow["l7"].get("type") == "RESPONSE"):
        return "a reply"
    flags = ports.get("flags")
    flags = flags if isinstance(flags, Mapping) else {}
    if reply is None and flags.get("SYN") and flags.get("ACK"):
        return "a reply"
    # Cilium leaves is_reply out of drops and policy verdicts, which are about requests by nature.
    event = _get(flow, "event_type")
    kind = event.get("type") if isinstance(event, Mapping) else None
    known = reply is False or hubble == "denied" or kind == POLICY_VERDICT_EVENT or flags.get("SYN")
    return "" if known or kind == L7_EVENT else "is_reply is missing, so it may be a reply"


def _layer_four(flow: Mapping[str, Any]) -> tuple[str | None, Mapping[str, Any]]:
    layer = flow.get("l4")
    for name in _PROTOCOLS:
        if isinstance(layer, Mapping) and isinstance(layer.get(name), Mapping):
            return name, layer[name]
    return None, {}


def _number(ports: Mapping[str, Any], key: str) -> int | None:
    value = _get(ports, key)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _get(record: Mapping[str, Any], key: str) -> Any:
    value = record.get(key)
    return record.get(_CAMEL.get(key, key)) if value is None else value


def _word(record: Mapping[str, Any], key: str) -> str | int | None:
    value = _get(record, key)
    return value if isinstance(value, str | int) else None


def _texts(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return None
    return tuple(text for text in value if isinstance(text, str))


def _side(flow: Mapping[str, Any], end: str) -> Side:
    endpoint = flow.get(end)
    endpoint = endpoint if isinstance(endpoint, Mapping) else {}
    addresses = flow.get("IP")
    address = addresses.get(end) if isinstance(addresses, Mapping) else None
    ip = address if isinstance(address, str) else None
    names = _texts(_get(flow, f"{end}_names"))
    labels = _texts(endpoint.get("labels"))
    if labels:
        return Side(_completed(labels, endpoint), ip, names)
    # Without labels (an exporter's field mask) only a reserved identity says what the end is; the
    # address alone could be a pod's.
    reserved = _RESERVED.get(_number(endpoint, "identity") or 0)
    return Side(None, None, names) if reserved is None else Side((f"reserved:{reserved}",), ip, names)


def _completed(labels: tuple[str, ...], endpoint: Mapping[str, Any]) -> tuple[str, ...]:
    """Add the namespace and cluster that some pipelines cut from a pod's labels but keep beside them."""
    pod = any(label.startswith("k8s:") for label in labels)
    added = [
        f"k8s:{key}={endpoint[name]}"
        for key, name in ((NAMESPACE_KEY, "namespace"), (CLUSTER_KEY, "cluster_name"))
        if pod
        and isinstance(endpoint.get(name), str)
        and not any(label.startswith(f"k8s:{key}=") for label in labels)
    ]
    return (*labels, *added)


def _request(flow: Mapping[str, Any]) -> L7Request | None:
    layer = flow.get("l7")
    if not isinstance(layer, Mapping):
        return None
    dns, http = layer.get("dns"), layer.get("http")
    if isinstance(dns, Mapping) and isinstance(dns.get("query"), str):
        return DnsQuestion(dns["query"])
    if not isinstance(http, Mapping):
        return None
    method, url, listed = http.get("method"), http.get("url"), http.get("headers")
    headers: dict[str, str] | None = None
    if isinstance(listed, Sequence):
        pairs = [item for item in listed if isinstance(item, Mapping)]
        headers = {str(item.get("key", "")): str(item.get("value", "")) for item in pairs}
    host = path = None
    if isinstance(url, str):
        try:
            parts = urlsplit(url)
        except ValueError:
            return HttpRequest(method if isinstance(method, str) else None, None, None, headers)
        host = parts.netloc or None
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return HttpRequest(method if isinstance(method, str) else None, path, host, headers)


def _about(flow: Mapping[str, Any], protocol: str | None, ports: Mapping[str, Any]) -> str:
    def name(end: str) -> str:
        endpoint = flow.get(end)
        endpoint = endpoint if isinstance(endpoint, Mapping) else {}
        addresses = flow.get("IP")
        address = addresses.get(end) if isinstance(addresses, Mapping) else None
        pod = endpoint.get("pod_name") or endpoint.get("podName")
        return f"{endpoint.get('namespace', '')}/{pod}" if pod else str(address or "?")

    port = _number(ports, "type") if protocol in _ICMP_REQUESTS else _number(ports, "destination_port")
    return f"{name('source')} -> {name('destination')} {protocol or '?'} {'?' if port is None else port}"
