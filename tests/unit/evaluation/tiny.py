"""A world written by hand: three workloads whose every record is known."""

from jobs.evaluation.estate import Estate
from jobs.evaluation.host_network import HOST, REMOTE
from jobs.evaluation.nouns import DAYS, NOBODY, Link, Outside, Question, Rhythm, Run, Workload
from jobs.evaluation.parameters import WorldParameters
from jobs.evaluation.runs import run_labels
from jobs.evaluation.untold import AMBIGUOUS, REPLY_ONLY, SERVICE, UNRESOLVED
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


def odd_world(parameters: WorldParameters = PARAMETERS) -> World:
    """
    Runs and what cannot be told, in the namespace shop: workloads web, api, db, cache, and two that run.

    A script calls db every other day at two o'clock, a Job calls api every day at one. Web calls api, and cache
    calls db; besides, web calls db by a strange address, api is known to call cache by its replies, db and
    cache talk over ports that tell nothing, and web calls a service without pods. An agent on the network of
    another node calls api, and web calls one on its own.
    """
    estate = Estate(parameters)
    web, api, db, cache = (
        estate.workload(Workload("shop", name, "Deployment", name, {"app": name}, 2, (port,)))
        for name, port in (("web", 8080), ("api", 9090), ("db", 5432), ("cache", 6379))
    )
    for tool, step, hour, server, port in (("script", 2, 2, db, 5432), ("job", 1, 1, api, 9090)):
        run = Run(tool, f"{tool}-import", "", tuple(range(0, parameters.days, step)), hour, 1)
        labels = run_labels(run, "shop", 0)
        number = estate.workload(Workload("shop", run.stem, "Pod", "run", labels, 1, run=run))
        estate.workloads[number].versions = [(day, run_labels(run, "shop", day)) for day in run.days]
        estate.link(Link(number, server, port, "core", Rhythm(DAYS, days=run.days), hour=hour, hours=1))
    estate.link(Link(web, api, 9090, "core"))
    estate.link(Link(cache, db, 5432, "core"))
    estate.link(Link(NOBODY, api, 9090, "core", entity=REMOTE))
    estate.link(Link(web, NOBODY, 8125, "core", entity=HOST, protocol="UDP"))
    estate.link(Link(web, db, 5432, "core", untold=UNRESOLVED))
    estate.link(Link(api, cache, 6379, "core", untold=REPLY_ONLY))
    estate.link(Link(db, cache, 30001, "core", protocol="UDP", untold=AMBIGUOUS))
    estate.outsides.append(Outside("", "", False, "10.97.0", (10,), 1))
    estate.link(Link(web, NOBODY, 8443, "core", outside=0, untold=SERVICE))
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
__all__ = ["CLUSTER", "PARAMETERS", "WEB_ONLY", "odd_world", "policy", "ports", "tiny_world", "to"]
