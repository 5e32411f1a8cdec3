"""
Callers and servers on the network of their node.

A policy knows them by the node alone: ``host`` is the pod's own node, whose calls always pass, and any other
is ``remote-node``. Which of the two a caller is changes when a pod moves. The API server calls webhooks.
"""

from typing import Final

import numpy as np

from jobs.evaluation.changes import NODE_UPGRADE_DAYS
from jobs.evaluation.draws import busy, happens, rare
from jobs.evaluation.estate import Estate
from jobs.evaluation.nouns import CHANCE, DAYS, NOBODY, Link, Rhythm

HOST: Final = "host"
REMOTE: Final = "remote-node"
#: Chance that a caller is on another node than whom it calls, of three nodes.
_ELSEWHERE: Final = 2 / 3
_AGENT_PORT: Final = 8125
_EXPORTER_PORT: Final = 9100
_KUBELET_PORT: Final = 10250
_WEBHOOK_PORT: Final = 9443


def add_host_network(estate: Estate) -> None:
    """Let agents on the nodes call services, and services call agents on the nodes."""
    if not estate.parameters.host_network:
        return
    rng = estate.rng(18)
    base = estate.infrastructure
    for port in (_EXPORTER_PORT, _KUBELET_PORT):
        for entity in (HOST, REMOTE):
            link = Link(base["prometheus"], NOBODY, port, "core", flows=800.0, entity=entity, hours=24)
            estate.link(link)
    calls = Link(NOBODY, base["operator"], _WEBHOOK_PORT, "core", flows=40.0, entity="kube-apiserver")
    estate.link(calls)
    services = estate.of_role("api")
    for _ in range(estate.parameters.host_network):
        server, client = (int(one) for one in rng.choice(services, size=2, replace=False))
        port = estate.workloads[server].ports[0]
        flows = busy(rng) if happens(rng, 0.7) else rare(rng)
        estate.link(Link(NOBODY, server, port, "core", _elsewhere(estate, rng), flows, entity=REMOTE))
        rhythm = Rhythm() if happens(rng, 0.7) else Rhythm(CHANCE, float(rng.uniform(0.1, 0.5)))
        agent = Link(client, NOBODY, _AGENT_PORT, "core", rhythm, busy(rng), entity=HOST, protocol="UDP")
        estate.link(agent)


def _elsewhere(estate: Estate, rng: np.random.Generator) -> Rhythm:
    """Days on which a single caller is on another node: it moves when nodes are replaced."""
    days = estate.parameters.days
    away = [
        day
        for begin in range(0, days, NODE_UPGRADE_DAYS)
        if happens(rng, _ELSEWHERE)
        for day in range(begin, min(begin + NODE_UPGRADE_DAYS, days))
    ]
    return Rhythm(DAYS, days=tuple(away))
