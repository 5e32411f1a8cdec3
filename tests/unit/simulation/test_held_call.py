"""A question is the same call as a cell of the quarantine, whatever it calls its ends."""

from dataclasses import replace

import pytest

from models.simulation.context import DnsQuestion, Side
from models.simulation.held_call import Call, Party, is_call

WEB = Party(Side(("k8s:app=web",)), "shop", "web", "prod")
DB = Party(Side(("k8s:app=db",)), "data", "db")
OUTSIDE = Party(Side(("reserved:world",), "192.0.2.7", ("cdn.example.org",)))
TCP = Call(WEB, DB, "TCP", 5432)


@pytest.mark.parametrize(
    "cell",
    [
        "shop/Deployment/web|egress|endpoint|data/StatefulSet/db|TCP|5432",
        "prod:shop/Deployment/web|egress|endpoint|data/StatefulSet/db|TCP|5432",
        "shop/Deployment/blog+Deployment/web|egress|endpoint|data/StatefulSet/db|TCP|5400-5500",
        "data/StatefulSet/db|ingress|endpoint|shop/Deployment/web|TCP|5432",
    ],
)
def test_a_call_is_known_at_either_end(cell):
    """By the workload, one of several that cannot be told apart, and the port or a range around it."""
    assert is_call(cell, TCP)


@pytest.mark.parametrize(
    "cell",
    [
        "shop/Deployment/web|egress|endpoint|data/StatefulSet/db|TCP|5433",
        "shop/Deployment/web|egress|endpoint|data/StatefulSet/db|UDP|5432",
        "shop/Deployment/web|ingress|endpoint|data/StatefulSet/db|TCP|5432",
        "shop/Deployment/web|egress|endpoint|shop/StatefulSet/db|TCP|5432",
        "other:shop/Deployment/web|egress|endpoint|data/StatefulSet/db|TCP|5432",
        "shop/Deployment/web%7Cegress|egress|endpoint|data/StatefulSet/db|TCP|5432",
    ],
)
def test_another_call_is_another_call(cell):
    """Port, protocol, direction, namespace, cluster, and a name that tries to look like a cell."""
    assert not is_call(cell, TCP)


def test_one_name_in_common_is_enough():
    """What shares a name with something unwanted is asked about; an address counts where it has no name."""
    call = replace(TCP, destination=OUTSIDE, port=443)
    assert is_call("shop/Deployment/web|egress|fqdn|a.example,cdn.example.org|TCP|443", call)
    assert not is_call("shop/Deployment/web|egress|fqdn|a.example|TCP|443", call)
    assert is_call("shop/Deployment/web|egress|ip|192.0.2.7|TCP|443", call)
    host = replace(call, destination=Party(Side(entity="host")))
    assert is_call("shop/Deployment/web|egress|entity|host|TCP|443", host)


def test_icmp_is_known_by_its_type():
    """The store has no port for it."""
    ping = replace(TCP, protocol="ICMPv4", port=8)
    assert is_call("shop/Deployment/web|egress|endpoint|data/StatefulSet/db|ICMPv4|0|8", ping)
    assert not is_call("shop/Deployment/web|egress|endpoint|data/StatefulSet/db|ICMPv4|0|0", ping)


def test_a_question_for_a_name_belongs_to_what_is_behind_the_name():
    """Names under the domain of a tunnel, and names to which calls are held back."""
    ask = replace(TCP, protocol="UDP", port=53)
    tunnel = "shop/Deployment/web|egress|fqdn|*.evil.example|DNS|53"
    assert is_call(tunnel, replace(ask, question=DnsQuestion("c2VjcmV0.evil.example.")))
    assert not is_call(tunnel, replace(ask, question=DnsQuestion("good.example")))
    assert not is_call(tunnel, ask)
    named = "shop/Deployment/web|egress|fqdn|cdn.example.org|TCP|443"
    assert is_call(named, replace(ask, question=DnsQuestion("cdn.example.org.shop.svc.cluster.local")))


def test_pods_of_no_workload_are_known_by_their_labels():
    """As cells name them, too."""
    bare = Party(Side(()), label_key="k8s:app=x")
    assert is_call("k8s:app=x|egress|endpoint|data/StatefulSet/db|TCP|5432", replace(TCP, source=bare))
    assert not is_call("|egress|endpoint|data/StatefulSet/db|TCP|5432", replace(TCP, source=Party(Side())))
