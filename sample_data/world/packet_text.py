"""Pieces of record text that need no state: layer 4, layer 7 answers, policies, flags."""

from sample_data.world.endpoints import compact
from sample_data.world.nouns import IngressPolicy
from sample_data.world.traffic import Address, Lookup, Side

FLAGS = {
    "SYN": ('{"SYN":true}', "SYN"),
    "SYN,ACK": ('{"SYN":true,"ACK":true}', "SYN, ACK"),
    "PSH,ACK": ('{"PSH":true,"ACK":true}', "ACK, PSH"),
    "FIN,ACK": ('{"FIN":true,"ACK":true}', "ACK, FIN"),
    "RST,ACK": ('{"RST":true,"ACK":true}', "ACK, RST"),
}
ICMP_NAMES = {8: "EchoRequest", 0: "EchoReply"}
DNS_POLICY = "dns-visibility"


def udp(source: int, destination: int) -> tuple[str, str]:
    """Layer 4 of a datagram and its summary."""
    return f'{{"UDP":{{"source_port":{source},"destination_port":{destination}}}}}', "UDP"


def truth_value(value: bool) -> str:
    """JSON boolean."""
    return "true" if value else "false"


def reply_key(reply: bool) -> str:
    """The deprecated key exists only when it is true."""
    return '"reply":true,' if reply else ""


def names_of(server: Side) -> str:
    """Names that the client knew the server by, as a JSON list; empty text for none."""
    return compact(list(server.names)) if isinstance(server, Address) and server.names else ""


def policy_text(policy: IngressPolicy) -> str:
    """The list of one policy, as verdicts carry it."""
    return _policy_json(policy.name, policy.namespace)


def dns_policy(namespace: str) -> str:
    """The list with a namespace's DNS visibility policy."""
    return _policy_json(DNS_POLICY, namespace)


def _policy_json(name: str, namespace: str) -> str:
    prefix = "k8s:io.cilium.k8s.policy"
    labels = [
        f"{prefix}.derived-from=CiliumNetworkPolicy",
        f"{prefix}.name={name}",
        f"{prefix}.namespace={namespace}",
    ]
    shown = {
        "name": name,
        "namespace": namespace,
        "labels": labels,
        "revision": "7",
        "kind": "CiliumNetworkPolicy",
    }
    return compact([shown])


def answer_text(look: Lookup) -> tuple[str, str]:
    """The answer's layer 7 and summary; zero values are left out as protojson does."""
    answer: dict[str, object] = {"query": f"{look.name}."}
    if look.ips:
        answer["ips"] = list(look.ips)
    answer["ttl"] = look.ttl
    if look.cnames:
        answer["cnames"] = [f"{name}." for name in look.cnames]
    answer["observation_source"] = "proxy"
    if look.rcode:
        answer["rcode"] = look.rcode
    answer["qtypes"] = [look.qtype]
    if look.ips:
        answer["rrtypes"] = [*(["CNAME"] if look.cnames else []), look.qtype]
    shown = '"' + ",".join(look.ips) + '"' if look.ips else ""
    if look.rcode:
        shown = "RCode: Non-Existent Domain"
    summary = f"DNS Answer {shown} TTL: {look.ttl} (Proxy {look.name}. {look.qtype})"
    return f'"l7":{{"type":"RESPONSE","dns":{compact(answer)}}}', summary
