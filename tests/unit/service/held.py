"""Entries of the quarantine to decide on."""

from dataclasses import replace

from models.domain.confidence import Argument
from models.domain.peer import FqdnPeer
from models.domain.quarantine import Quarantined, quarantine_id

SECOND_US = 1_000_000
FIRST_US = 1_772_409_600 * SECOND_US


def held(name="cdn.example.net", *, cluster="c", namespace="shop", mirror="", **changes):
    """A call of web to a name outside, or whatever the changes say."""
    cell = changes.pop("cell", f"{namespace}/web|egress|{name}")
    made = Quarantined(
        id=quarantine_id(cluster, cell),
        cell=cell,
        mirror=mirror,
        namespace=namespace,
        workload="web",
        direction="egress",
        peer=FqdnPeer("cdn.example.net"),
        title=f"{name} on TCP/443",
        reasons=("lone_sighting", "low_evidence"),
        why=("Outside, on one day and from one replica only.", "Its evidence is weak."),
        ledger=(Argument("days", -1.5, "seen on one day"),),
        p_legit=0.25,
        provenance="prior, not calibrated on this estate",
        first_us=FIRST_US,
        last_us=FIRST_US + 60 * SECOND_US,
        days_seen=1,
        flows=7,
        pods=1,
        replicas=3,
        samples=("u-1",),
        question=f"Does web have to reach {name} on TCP/443?",
    )
    return replace(made, **changes)


def both_ends(cluster="c"):
    """A call between two workloads, as it is held back at either end."""
    client = held("db", cluster=cluster, cell="client", mirror="server")
    server = held(
        "web", cluster=cluster, cell="server", mirror="client", namespace="data", direction="ingress"
    )
    return client, server
