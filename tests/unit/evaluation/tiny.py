"""A world written by hand: three workloads whose every record is known."""

from jobs.evaluation.estate import Estate
from jobs.evaluation.nouns import DAYS, NOBODY, Link, Question, Rhythm, Workload
from jobs.evaluation.parameters import WorldParameters
from jobs.evaluation.world import CLUSTER, World, finish

PARAMETERS = WorldParameters("tiny", 1, 4, days=28, loss=0.0)


def tiny_world(parameters: WorldParameters = PARAMETERS) -> World:
    """
    Links of web, api, db and the resolver, in the namespace shop.

    Every day: web to api, web to the resolver, web to ``api.vendor.com``. On days 15 and 16: api to db, for
    the first time. On day 20: web to ``api.new.com``. A scan: web to db on port 22, on day 5. A tunnel: web
    asks one name on day 6.
    """
    estate = Estate(parameters)
    web, api, db = (
        estate.workload(Workload("shop", name, "Deployment", name, {"app": name}, 2, (port,)))
        for name, port in (("web", 8080), ("api", 9090), ("db", 5432))
    )
    labels = {"k8s-app": "kube-dns"}
    dns = estate.workload(Workload("kube-system", "coredns", "Deployment", "coredns", labels, 2, (53,)))
    vendor, new = estate.outside("api.vendor.com"), estate.outside("api.new.com")
    estate.link(Link(web, api, 9090, "core"))
    estate.link(Link(web, dns, 53, "dns", protocol="UDP"))
    estate.link(Link(web, NOBODY, 443, "core", outside=vendor))
    estate.link(Link(api, db, 5432, "release", Rhythm(DAYS, days=(15, 16)), first=15))
    estate.link(Link(web, NOBODY, 443, "release", Rhythm(DAYS, days=(20,)), outside=new, first=20))
    estate.link(
        Link(web, db, 22, "horizontal_scan", Rhythm(DAYS, days=(5,)), 1.0, answered=False, one_pod=True)
    )
    estate.questions.append(Question(web, "abcdef.tunnel.com", 6, "dns_tunnel", missed=False))
    return finish(estate)


def policy(name: str, egress: list | None = None, ingress: list | None = None) -> dict:
    """A policy of a workload of the shop."""
    spec: dict = {"endpointSelector": {"matchLabels": {"app": name}}}
    if egress is not None:
        spec["egress"] = egress
    if ingress is not None:
        spec["ingress"] = ingress
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": metadata, "spec": spec}


def ports(number: int, protocol: str = "TCP") -> list:
    """One port."""
    return [{"ports": [{"port": str(number), "protocol": protocol}]}]


def to(name: str, number: int) -> dict:
    """Egress to a workload of the shop."""
    return {"toEndpoints": [{"matchLabels": {"app": name}}], "toPorts": ports(number)}


#: Web may do what it does every day; api and db are open.
WEB_ONLY = (
    policy(
        "web",
        egress=[
            to("api", 9090),
            {"toFQDNs": [{"matchName": "api.vendor.com"}], "toPorts": ports(443)},
            {
                "toEndpoints": [
                    {"matchLabels": {"k8s:io.kubernetes.pod.namespace": "kube-system", "k8s-app": "kube-dns"}}
                ],
                "toPorts": [
                    {
                        "ports": [{"port": "53", "protocol": "UDP"}],
                        "rules": {"dns": [{"matchPattern": "*.vendor.com"}]},
                    }
                ],
            },
        ],
    ),
)
__all__ = ["CLUSTER", "PARAMETERS", "WEB_ONLY", "policy", "ports", "tiny_world", "to"]
