"""
What every node's file holds beside the traffic of pods: none of it is an edge.

Health probes between agents, router solicitations of starting pods, socket events, lost-event
notices. Counted by kind for the truth file's ``set_aside``.
"""

from collections.abc import Iterator
from datetime import date
from random import Random

from sample_data.world.endpoints import reserved_json
from sample_data.world.pods import Cluster, Pod, midnight
from sample_data.world.records import Line, Records
from sample_data.world.traffic import NANOSECONDS

#: Share of node-hours with a small loss in the kernel's buffer.
LOSS_SHARE = 0.006
TRACED_PER_DAY = 6


class Ambient:
    """Lines without an edge, per day."""

    def __init__(self, cluster: Cluster, records: Records) -> None:
        self.cluster = cluster
        self.records = records

    def lines(self, day: date) -> Iterator[tuple[str, Line]]:
        """Lines of a day with the reason why they are set aside."""
        rng = Random(f"{self.cluster.world.seed}/ambient/{day}")
        begin = midnight(day)
        for node in self.cluster.nodes:
            for hour in range(24):
                at = int((begin + hour * 3600 + rng.random() * 3600) * NANOSECONDS)
                for line in self._health(at, node.index, rng):
                    yield "health_probe", line
        for pods in self.cluster.pods.values():
            for pod in pods:
                if begin <= pod.start < begin + 86400:
                    yield "router_solicitation", self._solicitation(pod)
        for pod in self._some_pods(begin, rng):
            yield "socket_event", self._traced(pod, int((begin + rng.random() * 86400) * NANOSECONDS), rng)

    def losses(self, day: date) -> Iterator[tuple[int, int, str]]:
        """Lost-event records of a day: time, node, body."""
        rng = Random(f"{self.cluster.world.seed}/losses/{day}")
        begin = midnight(day)
        for node in self.cluster.nodes:
            for hour in range(24):
                if rng.random() < LOSS_SHARE:
                    at = int((begin + hour * 3600 + rng.random() * 3600) * NANOSECONDS)
                    yield (
                        at,
                        node.index,
                        _lost("PERF_EVENT_RING_BUFFER", rng.randrange(3, 400), rng.randrange(4)),
                    )
        for gap in self.cluster.world.gaps:
            if gap.lost and gap.end.date() == day:
                at = int(gap.end.timestamp() * NANOSECONDS) + 1
                yield at, gap.node, _lost("OBSERVER_EVENTS_QUEUE", gap.lost, None)

    def _health(self, at: int, node: int, rng: Random) -> Iterator[Line]:
        """Another agent's probe of this node's health endpoint, and the answer."""
        other = self.cluster.nodes[(node + 1) % len(self.cluster.nodes)]
        probe_ip, health_ip = other.ip, f"10.244.{node}.254"
        port = rng.randrange(32768, 60999)
        ends = (reserved_json("remote-node"), reserved_json("health", 44 + node))
        for reply in (False, True):
            source, destination = (health_ip, probe_ip) if reply else (probe_ip, health_ip)
            first, second = (4240, port) if reply else (port, 4240)
            flags, text = ('"SYN":true,"ACK":true', "SYN, ACK") if reply else ('"SYN":true', "SYN")
            sender, receiver = (ends[1], ends[0]) if reply else ends
            head = (
                f'"verdict":"FORWARDED","IP":{{"source":"{source}","destination":"{destination}","ipVersion":"IPv4"}},'
                f'"l4":{{"TCP":{{"source_port":{first},"destination_port":{second},"flags":{{{flags}}}}}}},'
                f'"source":{sender},"destination":{receiver},"Type":"L3_L4"'
            )
            event = (
                '"reply":true,"event_type":{"type":4,"sub_type":3}' if reply else '"event_type":{"type":4}'
            )
            tail = (
                f'{event},"traffic_direction":"INGRESS","trace_observation_point":'
                f'"{"TO_STACK" if reply else "TO_ENDPOINT"}","trace_reason":"{"REPLY" if reply else "NEW"}",'
                f'"is_reply":{"true" if reply else "false"},"Summary":"TCP Flags: {text}"'
            )
            yield self.records.raw(at + 51_000 * reply, node, head, tail)

    def _solicitation(self, pod: Pod) -> Line:
        """A starting pod asks for IPv6 routers; the datapath does not do IPv6 here."""
        at = int((pod.start + 0.4) * NANOSECONDS)
        labels = ",".join(f'"{label}"' for label in pod.labels)
        head = (
            '"verdict":"DROPPED","drop_reason":139,'
            f'"ethernet":{{"source":"{pod.mac}","destination":"33:33:00:00:00:02"}},'
            f'"IP":{{"source":"{pod.link_local}","destination":"ff02::2","ipVersion":"IPv6"}},'
            f'"l4":{{"ICMPv6":{{"type":133}}}},"source":{{"identity":{pod.identity},"labels":[{labels}]}},'
            '"destination":{"labels":["reserved:unknown"]},"Type":"L3_L4"'
        )
        tail = (
            '"event_type":{"type":1,"sub_type":139},"traffic_direction":"INGRESS",'
            '"drop_reason_desc":"UNSUPPORTED_L3_PROTOCOL","Summary":"ICMPv6 RouterSolicitation"'
        )
        return self.records.raw(at, pod.node, head, tail)

    def _some_pods(self, begin: float, rng: Random) -> list[Pod]:
        moment = begin + 43200
        alive = [pod for ref in self.cluster.pods for pod in self.cluster.alive(ref, moment)]
        return rng.sample(alive, min(TRACED_PER_DAY, len(alive)))

    def _traced(self, pod: Pod, at: int, rng: Random) -> Line:
        """A socket event of DNS load balancing: no destination port, no direction."""
        servers = self.cluster.alive(self.cluster.world.resolver, at / NANOSECONDS)
        server = servers[0]
        head = (
            f'"verdict":"TRACED","IP":{{"source":"{pod.ip}","destination":"{server.ip}","ipVersion":"IPv4"}},'
            f'"l4":{{"UDP":{{"source_port":{rng.randrange(32768, 60999)}}}}},'
            f'"source":{self.records.pod_text(pod, local=True)},'
            f'"destination":{self.records.pod_text(server, local=server.node == pod.node)},"Type":"SOCK"'
        )
        tail = (
            '"event_type":{"type":7,"sub_type":3},"sock_xlate_point":"SOCK_XLATE_POINT_PRE_DIRECTION_REV",'
            f'"socket_cookie":"{rng.randrange(1000, 99999)}","cgroup_id":"{rng.randrange(1000, 99999)}",'
            '"Summary":"UDP"'
        )
        return self.records.raw(at, pod.node, head, tail)


def _lost(source: str, count: int, cpu: int | None) -> str:
    wrapper = "" if cpu is None else f',"cpu":{cpu}'
    return f'"lost_events":{{"source":"{source}","num_events_lost":"{count}"{wrapper}}}'
