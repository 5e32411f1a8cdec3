"""
Policy cases: a set of objects, one flow, and what is expected of an evaluator.

The format is that of the reference cases: ``policies``, optional ``objects`` (Services, CIDR groups),
``flow`` and agent settings under ``config`` or ``options``. Everything the flow does not list is
known to be absent; a case never answers "unknown" for a missing name or named port.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from models.domain.agent import AgentConfig
from models.domain.policy import Direction
from models.errors import BadInputError
from models.manifest.parse import parse_objects
from models.simulation.context import (
    DnsQuestion,
    HttpRequest,
    L7Request,
    PolicyFlow,
    Side,
    TlsHello,
)
from models.simulation.decision import Decision
from models.simulation.verdict import evaluate

INVALID: Final = "invalid"  # Cilium rejects an object, or cannot compute the endpoint's policy

_SETTINGS: Final = {
    "enablePolicy": "enable_policy",
    "allowLocalhost": "allow_localhost",
    "policyDefaultLocalCluster": "default_local_cluster",
    "dualStack": "dual_stack",
    "dual_stack": "dual_stack",
    "nodeSelectorLabels": "node_selector_labels",
    "hostFirewall": "host_firewall",
    "host_firewall": "host_firewall",
    "clusterName": "cluster_name",
}


def case_config(case: Mapping[str, Any], cilium_version: str) -> AgentConfig:
    """
    Agent settings of a case.

    Raises
    ------
    BadInputError
        If the case names a setting that is not known.
    """
    values: dict[str, Any] = {"cilium_version": cilium_version}
    for key, value in {**_mapping(case, "config"), **_mapping(case, "options")}.items():
        if key == "policyCIDRMatchMode":
            values["cidr_matches_nodes"] = "nodes" in str(value)
        elif key in _SETTINGS:
            values[_SETTINGS[key]] = value
        else:
            raise BadInputError(f"the case has the unknown setting {key!r}")
    return AgentConfig(**values)


def case_flow(case: Mapping[str, Any]) -> PolicyFlow:
    """
    The flow of a case.

    Raises
    ------
    BadInputError
        If a part of it is missing or of the wrong form.
    """
    flow = _mapping(case, "flow")
    direction = flow.get("direction")
    if direction not in ("ingress", "egress", "both"):
        raise BadInputError(f"the flow's direction is {direction!r}; use ingress, egress or both")
    l4 = _mapping(flow, "l4")
    protocol = l4.get("proto")
    port = l4.get("icmp_type", l4.get("port"))
    if not isinstance(protocol, str) or not isinstance(port, int):
        raise BadInputError("the flow needs l4.proto and l4.port (for ICMP the type)")
    return PolicyFlow(
        None if direction == "both" else Direction(direction),
        _side(_mapping(flow, "src")),
        _side(_mapping(flow, "dst")),
        protocol,
        port,
        _request(_mapping(flow, "l7")),
        bool(flow.get("reply", False)),
    )


def case_decision(
    case: Mapping[str, Any], cilium_version: str, *, keep_rejected: bool = False
) -> tuple[str, Decision | None]:
    """
    Answer a case.

    Parameters
    ----------
    case
        One object of the case format.
    cilium_version
        Release to answer for.
    keep_rejected
        Evaluate the remaining objects when one is rejected, as a cluster would.

    Returns
    -------
    (str, Decision or None)
        ``allow``, ``deny``, ``unknown`` or ``invalid``, and the decision where there is one.
    """
    config = case_config(case, cilium_version)
    objects = [*_objects(case, "policies"), *_objects(case, "objects")]
    policies = parse_objects(objects, config=config, inventory_complete=True)
    if policies.rejected and not keep_rejected:
        return INVALID, None
    decision = evaluate(policies, case_flow(case), config)
    return (INVALID if decision.invalid else decision.verdict.value), decision


def _mapping(item: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = item.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise BadInputError(f"{key!r} of the case must be a mapping")
    return value


def _objects(case: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    value = case.get(key) or ()
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, Mapping) for item in value):
        raise BadInputError(f"{key!r} of the case must be a list of objects")
    return value


def _side(side: Mapping[str, Any]) -> Side:
    labels = side.get("labels")
    if labels is not None and not _texts(labels):
        raise BadInputError("labels must be a list of strings")
    names = side.get("names") or ()
    if not _texts(names):
        raise BadInputError("names must be a list of strings")
    return Side(
        None if labels is None else tuple(labels),
        side.get("ip"),
        tuple(names),
        side.get("entity"),
        _named_ports(side.get("named_ports") or side.get("namedPorts") or ()),
    )


def _texts(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)


def _named_ports(value: object) -> tuple[tuple[str, int, str], ...]:
    if isinstance(value, Mapping):
        return tuple(
            (str(name), int(port["port"]), str(port["proto"])) for name, port in sorted(value.items())
        )
    if isinstance(value, (list, tuple)):
        return tuple((str(p["name"]), int(p["port"]), str(p["proto"])) for p in value)
    raise BadInputError("named ports must be a list or a mapping")


def _request(l7: Mapping[str, Any]) -> L7Request | None:
    if "http" in l7:
        http = _mapping(l7, "http")
        path = http.get("path", "/")
        return HttpRequest(http.get("method", "GET"), path, http.get("host", ""), _mapping(http, "headers"))
    if "dns" in l7:
        dns = _mapping(l7, "dns")
        return DnsQuestion(str(dns.get("query", dns.get("name", ""))))
    if "tls" in l7:
        return TlsHello(str(_mapping(l7, "tls").get("sni", "")))
    return None
