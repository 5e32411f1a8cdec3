"""
Events as Hubble exporter lines, in the shape of Cilium 1.18 at monitor aggregation ``medium``.

A connection between pods gives a line per end and direction of travel: leaving the client, arriving
at the server, the answer leaving the server, the answer arriving at the client. The packet's ends are
swapped on answers while ``traffic_direction`` stays that of the connection. Policy verdicts (type 5)
exist where a policy selects the pod; a denied packet gives one of those and a drop (type 1).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sample_data.world.endpoints import EndpointText, compact, node_labels
from sample_data.world.packet_text import (
    FLAGS,
    ICMP_NAMES,
    answer_text,
    dns_policy,
    names_of,
    policy_text,
    reply_key,
    truth_value,
    udp,
)
from sample_data.world.pods import Cluster, Node, Pod
from sample_data.world.traffic import Connection, Event, Lookup, Side

STEP = 37_000  # nanoseconds between neighbouring lines of one connection
DENIED = (133, "POLICY_DENIED")


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its uuid: what stands before and after it."""

    at: int
    node: int
    body: str


class Records:
    """Writes events as the lines of the nodes that saw them."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._text = EndpointText(cluster.world.cluster)
        self._node_text = tuple(
            f'"node_name":"{self.node_name(node)}","node_labels":{compact(list(node_labels(node)))}'
            for node in cluster.nodes
        )
        self._policies = {policy.name: policy_text(policy) for policy in cluster.world.policies}

    def node_name(self, node: Node) -> str:
        """Name of a node as records carry it."""
        return f"{self.cluster.world.cluster}/{node.name}"

    def lines(self, event: Event) -> Iterator[Line]:
        """The lines of one event, not sorted across nodes."""
        if isinstance(event, Lookup):
            return self._lookup(event)
        if event.dependency.outcome == "dropped":
            return self._dropped(event)
        return self._connection(event)

    def _connection(self, c: Connection) -> Iterator[Line]:
        client, server, outcome = c.client, c.server, c.dependency.outcome
        opening = self._l4(c, "SYN", answer=False)
        names = names_of(server)
        if isinstance(client, Pod):
            if c.leaving == "denied":
                yield from self._refused(c, client, opening, names)
                return
            if c.leaving == "audit" or self.cluster.dns_visible(client.workload):
                yield self._egress_verdict(c, client, opening, names)
            yield self._leaves(c.at + STEP, client, server, opening, "EGRESS", "NEW", names=names)
        if isinstance(server, Pod):
            yield from self._arrival(c, server, opening)
        if c.verdict == "denied" or outcome in ("unanswered", "oneway"):
            return
        closing = self._l4(c, "RST,ACK" if outcome == "reset" else "SYN,ACK", answer=True)
        if isinstance(server, Pod):
            yield self._leaves(c.at + 6 * STEP, server, client, closing, "INGRESS", "REPLY")
        if isinstance(client, Pod):
            yield self._arrives(
                c.at + 9 * STEP, server, client, closing, "EGRESS", "REPLY", source_names=names
            )
        yield from self._later(c, names)

    def _egress_verdict(self, c: Connection, client: Pod, opening: tuple[str, str], names: str) -> Line:
        """The visibility policy's verdict: DNS goes to the proxy, the rest matches its allow-all."""
        verdict, match, tail = ("AUDIT", 0, "") if c.leaving == "audit" else ("FORWARDED", 4, "")
        if c.dependency.port == 53:
            verdict, match = "REDIRECTED", 2
            tail = f',"egress_allowed_by":{dns_policy(client.workload.namespace)}'
        return self._verdict_line(
            c.at,
            client.node,
            client,
            c.server,
            opening,
            "EGRESS",
            verdict,
            names=names,
            match=match,
            tail=tail,
        )

    def _refused(self, c: Connection, client: Pod, opening: tuple[str, str], names: str) -> Iterator[Line]:
        """What the client's own policy stops: a verdict and a drop at its node, and nothing elsewhere."""
        ends = (client.node, client, c.server, opening, "EGRESS")
        yield self._verdict_line(c.at, *ends, "DROPPED", names=names)
        yield self._drop_line(c.at + 900, *ends, *DENIED, names=names)

    def _arrival(self, c: Connection, server: Pod, opening: tuple[str, str]) -> Iterator[Line]:
        """What the server's node writes about the first packet."""
        at = c.at + 3 * STEP
        if c.policy is not None or c.verdict != "forwarded":
            if c.verdict == "denied":
                yield self._verdict_line(at, server.node, c.client, server, opening, "INGRESS", "DROPPED")
                yield self._drop_line(at + 900, server.node, c.client, server, opening, "INGRESS", *DENIED)
                return
            verdict = "AUDIT" if c.verdict == "audit" else "FORWARDED"
            allowed = c.policy is not None and verdict == "FORWARDED"
            tail = f',"ingress_allowed_by":{self._policies[c.policy.name]}' if c.policy and allowed else ""
            match = 2 if allowed else 0
            yield self._verdict_line(
                at, server.node, c.client, server, opening, "INGRESS", verdict, match=match, tail=tail
            )
        yield self._arrives(at + 900, c.client, server, opening, "INGRESS", "NEW")

    def _later(self, c: Connection, names: str) -> Iterator[Line]:
        """Lines of an open connection, and the end of some short ones."""
        if (
            c.dependency.protocol != "TCP"
            or c.dependency.outcome != "answered"
            or not isinstance(c.client, Pod)
        ):
            return
        for turn in range(c.dependency.lasting):
            at = c.at + (turn + 1) * 5_000_000_000
            yield self._leaves(
                at,
                c.client,
                c.server,
                self._l4(c, "PSH,ACK", answer=False),
                "EGRESS",
                "ESTABLISHED",
                names=names,
            )
        if not c.dependency.lasting and c.at % 4 == 0:
            yield self._leaves(
                c.at + 180_000_000,
                c.client,
                c.server,
                self._l4(c, "FIN,ACK", answer=False),
                "EGRESS",
                "ESTABLISHED",
                names=names,
            )

    def _dropped(self, c: Connection) -> Iterator[Line]:
        """A drop that no policy caused, at the client's node."""
        if isinstance(c.client, Pod):
            opening = self._l4(c, "SYN", answer=False)
            yield self._drop_line(
                c.at,
                c.client.node,
                c.client,
                c.server,
                opening,
                "EGRESS",
                *c.dependency.drop,
                names=names_of(c.server),
            )

    def _lookup(self, look: Lookup) -> Iterator[Line]:
        client, server = look.client, look.server
        question = udp(look.source_port, 53)
        answer = udp(53, look.source_port)
        if look.opens:
            tail = f',"egress_allowed_by":{dns_policy(client.workload.namespace)}'
            yield self._verdict_line(
                look.at, client.node, client, server, question, "EGRESS", "REDIRECTED", match=2, tail=tail
            )
            if look.at % 9 == 0:
                yield self._to_proxy(look.at + 2_000, client, server, question)
        query = f'"query":"{look.name}."'
        asked = f'{query},"observation_source":"proxy","qtypes":["{look.qtype}"]'
        asked = f'"l7":{{"type":"REQUEST","dns":{{{asked}}}}}'
        yield self._dns_line(
            look.at + 140_000, client, server, question, asked, f"DNS Query {look.name}. {look.qtype}"
        )
        if look.opens:
            if look.at % 11 == 0:
                yield self._undirected(look.at + 200_000, client, server, question)
            yield self._arrives(look.at + 310_000, client, server, question, "INGRESS", "NEW")
            yield self._leaves(look.at + 560_000, server, client, answer, "INGRESS", "REPLY")
        told, summary = answer_text(look)
        yield self._dns_line(look.at + 900_000, server, client, answer, told, summary, reply=True)

    def _l4(self, c: Connection, flags: str, *, answer: bool) -> tuple[str, str]:
        """Layer 4 of one packet and its summary."""
        protocol, port = c.dependency.protocol, c.dependency.port
        source, destination = (port, c.source_port) if answer else (c.source_port, port)
        if protocol == "ICMPv4":
            kind = 0 if answer else c.dependency.icmp_type or 0
            shown = f'{{"type":{kind}}}' if kind else "{}"
            return f'{{"ICMPv4":{shown}}}', f"ICMPv4 {ICMP_NAMES[kind]}"
        if protocol == "UDP":
            return udp(source, destination)
        shown, summary = FLAGS[flags]
        ports = f'"source_port":{source},"destination_port":{destination}'
        return f'{{"TCP":{{{ports},"flags":{shown}}}}}', f"TCP Flags: {summary}"

    def _leaves(
        self,
        at: int,
        sender: Pod,
        receiver: Side,
        l4: tuple[str, str],
        direction: str,
        reason: str,
        *,
        names: str = "",
    ) -> Line:
        """Trace to-stack at the node of the sending pod."""
        reply = reason == "REPLY"
        event = '"event_type":{"type":4,"sub_type":3},"traffic_direction":"' + direction
        tail = (
            f'{reply_key(reply)}{event}","trace_observation_point":"TO_STACK","trace_reason":"{reason}",'
            f'"is_reply":{truth_value(reply)},"Summary":"{l4[1]}"'
        )
        macs = (sender.mac, sender.host_mac)
        if names:
            tail = f'"destination_names":{names},' + tail
        return self._line(at, sender.node, "FORWARDED", "", macs, sender, receiver, l4[0], tail)

    def _arrives(
        self,
        at: int,
        sender: Side,
        receiver: Pod,
        l4: tuple[str, str],
        direction: str,
        reason: str,
        *,
        source_names: str = "",
    ) -> Line:
        """Trace to-endpoint at the node of the receiving pod; its sub-type 0 is left out."""
        reply = reason == "REPLY"
        interface = f'{{"index":{receiver.endpoint % 90 + 8},"name":"{receiver.interface}"}}'
        tail = (
            f'{reply_key(reply)}"event_type":{{"type":4}},"traffic_direction":"{direction}",'
            f'"trace_observation_point":"TO_ENDPOINT","trace_reason":"{reason}","is_reply":{truth_value(reply)},'
            f'"interface":{interface},"Summary":"{l4[1]}"'
        )
        if source_names:
            tail = f'"source_names":{source_names},' + tail
        macs = (receiver.host_mac, receiver.mac)
        return self._line(at, receiver.node, "FORWARDED", "", macs, sender, receiver, l4[0], tail)

    def _verdict_line(
        self,
        at: int,
        node: int,
        client: Side,
        server: Side,
        l4: tuple[str, str],
        direction: str,
        verdict: str,
        *,
        names: str = "",
        match: int = 0,
        tail: str = "",
    ) -> Line:
        """Policy verdict; a denied one says why and does not know whether it is a reply."""
        denied = verdict == "DROPPED"
        reason = f'"drop_reason":{DENIED[0]},' if denied else ""
        shown = f'"event_type":{{"type":5}},"traffic_direction":"{direction}"'
        shown += f',"policy_match_type":{match}' if match else ""
        shown += f',"drop_reason_desc":"{DENIED[1]}"' if denied else ',"is_reply":false'
        shown += f',"Summary":"{l4[1]}"{tail}'
        if names:
            shown = f'"destination_names":{names},' + shown
        local = client if direction == "EGRESS" else server
        macs = (local.mac, local.host_mac) if isinstance(local, Pod) else None
        return self._line(at, node, verdict, reason, macs, client, server, l4[0], shown)

    def _drop_line(
        self,
        at: int,
        node: int,
        client: Side,
        server: Side,
        l4: tuple[str, str],
        direction: str,
        code: int,
        name: str,
        *,
        names: str = "",
    ) -> Line:
        shown = (
            f'"event_type":{{"type":1,"sub_type":{code}}},"traffic_direction":"{direction}",'
            f'"file":{{"name":"bpf_lxc.c","line":{1361 if direction == "EGRESS" else 2043}}},'
            f'"drop_reason_desc":"{name}","Summary":"{l4[1]}"'
        )
        if names:
            shown = f'"destination_names":{names},' + shown
        local = client if direction == "EGRESS" else server
        macs = (local.mac, local.host_mac) if isinstance(local, Pod) else None
        return self._line(at, node, "DROPPED", f'"drop_reason":{code},', macs, client, server, l4[0], shown)

    def _dns_line(
        self,
        at: int,
        sender: Pod,
        receiver: Pod,
        l4: tuple[str, str],
        l7: str,
        summary: str,
        *,
        reply: bool = False,
    ) -> Line:
        """Access log line of the DNS proxy on the client's node."""
        node = receiver.node if reply else sender.node
        tail = (
            f'{l7},{reply_key(reply)}"event_type":{{"type":129}},"traffic_direction":"EGRESS",'
            f'"is_reply":{truth_value(reply)},"Summary":{compact(summary)}'
        )
        return self._line(at, node, "FORWARDED", "", None, sender, receiver, l4[0], tail, kind="L7")

    def _to_proxy(self, at: int, client: Pod, server: Pod, l4: tuple[str, str]) -> Line:
        tail = (
            '"event_type":{"type":4,"sub_type":1},"traffic_direction":"EGRESS",'
            '"trace_observation_point":"TO_PROXY",'
            f'"trace_reason":"NEW","is_reply":false,"proxy_port":35053,"Summary":"{l4[1]}"'
        )
        return self._line(at, client.node, "FORWARDED", "", None, client, server, l4[0], tail)

    def _undirected(self, at: int, client: Pod, server: Pod, l4: tuple[str, str]) -> Line:
        """What the proxy sends on: the datapath knows neither direction nor reply."""
        tail = (
            f'"event_type":{{"type":4,"sub_type":3}},"trace_observation_point":"TO_STACK","Summary":"{l4[1]}"'
        )
        return self._line(at, client.node, "FORWARDED", "", None, client, server, l4[0], tail)

    def _line(
        self,
        at: int,
        node: int,
        verdict: str,
        reason: str,
        macs: tuple[str, str] | None,
        sender: Side,
        receiver: Side,
        l4: str,
        tail: str,
        *,
        kind: str = "L3_L4",
    ) -> Line:
        ethernet = f'"ethernet":{{"source":"{macs[0]}","destination":"{macs[1]}"}},' if macs else ""
        body = (
            f'"verdict":"{verdict}",{reason}{ethernet}'
            f'"IP":{{"source":"{sender.ip}","destination":"{receiver.ip}","ipVersion":"IPv4"}},"l4":{l4},'
            f'"source":{self._text.side(sender, node)},"destination":{self._text.side(receiver, node)},'
            f'"Type":"{kind}",{self._node_text[node]},{tail}'
        )
        return Line(at, node, body)

    def raw(self, at: int, node: int, head: str, tail: str) -> Line:
        """A line that no dependency describes: the text before and after the node's own keys."""
        return Line(at, node, f"{head},{self._node_text[node]},{tail}")

    def pod_text(self, pod: Pod, *, local: bool) -> str:
        """Endpoint object of a pod."""
        return self._text.pod(pod, local=local)
