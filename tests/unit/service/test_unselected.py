"""``show NAMESPACE/WORKLOAD`` of what no policy can select: pods on the host network."""

import json

import pytest

from service.cli import run
from tests.functional.flows import flows


@pytest.fixture
def show(tmp_path, monkeypatch, capfd):
    """An agent on the host network, which Hubble named, calls web; asks for a workload and gives the error."""
    monkeypatch.chdir(tmp_path)
    lines = []
    for one in flows(days=1, edges=(("api-0", "web-0", 8080, "TCP"),)):
        for end in (one["flow"]["source"], one["flow"]["destination"]):
            if end["pod_name"] == "api-0":
                end |= {"identity": 6, "labels": ["reserved:remote-node"], "pod_name": "agent-0"}
                end |= {"namespace": "sys", "workloads": [{"name": "agent", "kind": "DaemonSet"}]}
        lines.append(json.dumps(one) + "\n")
    (tmp_path / "flows.jsonl").write_text("".join(lines), encoding="utf-8")
    assert run(["ingest", "flows.jsonl", "--data-dir", "data"]) == 0

    def asked(command, reference, *more):
        capfd.readouterr()
        assert run([command, reference, *more, "--data-dir", "data"]) == 2
        return capfd.readouterr().err

    return asked


def test_a_workload_of_the_host_network_is_told_from_a_typo(show):
    """By its name and by that of a pod; where flows name nothing, that is said, and of pods it is not."""
    for reference in ("sys/agent", "sys/agent-0"):
        said = show("show", reference)
        assert f"no policy is proposed for {reference}: its pods are on the host network" in said
        assert "seen as remote-node" in said
    assert "on the host network (seen as" in show("review", "sys/agent", "reject", "--reason", "no")
    assert "no flow names sys/agemt" in show("show", "sys/agemt")
    assert "'portolan proposals' lists them" in show("show", "sys/agemt")
    for reference in ("shop/web", "agent"):  # a pod before the first inference; no namespace
        assert "host network" not in show("show", reference)
