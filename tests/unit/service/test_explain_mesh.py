"""Two clusters of a mesh, each with a workload of the same name: whose flows, and whose policies."""

import json

import pytest
import yaml

from service.cli import run
from tests.functional.flows import flows

LABEL = "k8s:io.cilium.k8s.policy.cluster="


def _lines(client_cluster, server_cluster, port, serial, told_by):
    """A day of calls of web to db, as the nodes of one cluster record them."""
    clusters = {"web-0": client_cluster, "db-0": server_cluster}
    for one in flows(days=1, edges=(("web-0", "db-0", port, "TCP"),)):
        flow = one["flow"]
        for end in (flow["source"], flow["destination"]):
            cluster = clusters[end["pod_name"]]
            end["cluster_name"] = cluster
            end["identity"] += 100 * int(cluster[1:])
            end["labels"] = sorted({*end["labels"]} - {f"{LABEL}default"} | {LABEL + cluster})
        flow["uuid"] = f"{serial:08d}{flow['uuid'][8:]}"
        flow["node_name"] = one["node_name"] = f"{told_by}/node-1"
        yield json.dumps(one) + "\n"


@pytest.fixture
def data(tmp_path, monkeypatch):
    """In c1, web calls the db of c2 on 5432, and web of c2 calls the db of c1 on 5433."""
    monkeypatch.chdir(tmp_path)
    lines = [*_lines("c1", "c2", 5432, 1, "c1"), *_lines("c2", "c1", 5433, 2, "c1")]
    (tmp_path / "flows.jsonl").write_text("".join(lines), encoding="utf-8")
    assert run(["ingest", "flows.jsonl", "--data-dir", "data"]) == 0
    selector = {"matchLabels": {"app": "web"}}
    to_c2 = {"matchLabels": {"app": "db", LABEL.removesuffix("="): "c2"}}
    ports = [{"ports": [{"port": "5432", "protocol": "TCP"}]}]
    spec = {"endpointSelector": selector, "egress": [{"toEndpoints": [to_c2], "toPorts": ports}]}
    closed = {"endpointSelector": {"matchLabels": {"app": "db"}}, "ingress": [{}]}
    kind = {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy"}
    documents = [
        kind | {"metadata": {"name": "web", "namespace": "shop"}, "spec": spec},
        kind | {"metadata": {"name": "db", "namespace": "shop"}, "spec": closed},
    ]
    (tmp_path / "p.yaml").write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    return tmp_path / "data"


def _explain(capfd, source, destination, *more, code=0):
    capfd.readouterr()
    asked = ["explain", source, destination, "--policies", "p.yaml", "--data-dir", "data", "--cluster", "c1"]
    assert run([*asked, *more, "--format", "json"]) == code
    printed = capfd.readouterr()
    return printed.err if code else json.loads(printed.out)


@pytest.mark.usefixtures("data")
def test_flows_to_a_namesake_in_another_cluster_are_not_those_of_the_own(capfd):
    """The own db was never called; the one of c2 is told apart, with what was seen of it."""
    told = _explain(capfd, "shop/web", "shop/db", "--port", "5432")
    assert (told["destination"], told["verdict"], told["observed"]) == ("shop/db", "deny", [])
    assert any("shop/db of cluster c2 is another workload" in note for note in told["notes"])
    assert any("observed to that one: 24 flows forwarded on TCP/5432" in note for note in told["notes"])
    assert not any("policy.cluster" in str(change["patch"]) for change in told["changes"])
    assert "c2/shop/db asks about it" in _explain(capfd, "shop/web", "shop/db", code=2)


@pytest.mark.usefixtures("data")
def test_a_workload_of_another_cluster_can_be_asked_about(capfd):
    """Only the own end is judged by the own policies, whichever end that is."""
    told = _explain(capfd, "shop/web", "c2/shop/db")
    assert (told["verdict"], told["port"]) == ("allow", 5432)
    assert [gate["direction"] for gate in told["gates"]] == ["egress"]
    assert [one["flows"] for one in told["observed"]] == [24]
    assert any("policies of cluster c2 to decide" in note for note in told["notes"])
    told = _explain(capfd, "c2/shop/web", "shop/db")
    assert (told["port"], [gate["direction"] for gate in told["gates"]]) == (5433, ["ingress"])
    assert "'c3' was observed" in _explain(capfd, "shop/web", "c3/shop/db", "--port", "1", code=2)


def test_flows_kept_by_another_name_are_of_the_cluster_that_their_nodes_are_in(tmp_path, monkeypatch, capfd):
    """``ingest --cluster prod``: no pod says prod, and the cluster of the nodes that told is the own."""
    monkeypatch.chdir(tmp_path)
    lines = [one for one in _lines("c1", "c2", 5432, 1, "c1") if '"is_reply": false' in one]
    (tmp_path / "flows.jsonl").write_text("".join(lines), encoding="utf-8")
    assert run(["ingest", "flows.jsonl", "--data-dir", "data", "--cluster", "prod"]) == 0
    capfd.readouterr()
    asked = ["explain", "shop/web", "shop/db", "--state", "any", "--data-dir", "data", "--format", "json"]
    assert run(asked) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["source"], told["destination"]) == ("shop/web", "c2/shop/db")
    assert [gate["direction"] for gate in told["gates"]] == ["egress"]
