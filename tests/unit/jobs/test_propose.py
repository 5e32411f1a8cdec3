"""The infer run: what it gives back, and what it does with input that no policy can carry."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from jobs import propose as run
from jobs.beside import forked
from jobs.infer import run_infer
from jobs.propose import propose
from models.domain.capabilities import CapabilityHints, parse_version, resolve_capabilities
from models.domain.window import Window
from models.errors import BadInputError
from models.manifest import validate
from models.manifest.validate_nodes import Problem
from tests.unit.synthesis.world import START, Pods, World, proposal_for, reasons


class Store:
    """A store with one cluster in memory, which remembers what it was asked for."""

    def __init__(self, world):
        self.world = world
        self.asked = None

    def observations(self, cluster, window):
        self.asked = (cluster, window)
        return self.world.observations()


@pytest.fixture
def world():
    world = World()
    world.edge(world.pod("shop", "web"), world.pod("shop", "api"))
    return world


def test_the_window_ends_at_the_hour_asked_for(world):
    """As long as asked for, cut to the hour."""
    store = Store(world)
    as_of = datetime(2026, 3, 15, 2, 30, tzinfo=UTC)
    result = run_infer(store, cluster="prod", as_of=as_of, window_length=timedelta(days=14))
    assert store.asked == ("prod", Window.ending(as_of, timedelta(days=14)))
    assert result.window == Window(START, START + timedelta(days=14))


def test_the_result_is_json_with_everything_a_person_needs(world):
    """Every rule with its numbers, every direction with its forecast, the run with its calibration."""
    form = json.loads(json.dumps(propose(world.observations()).to_json()))
    proposal = next(one for one in form["proposals"] if one["name"].startswith("portolan-api"))
    assert set(proposal) >= {
        "key", "version", "state", "maturity", "namespace", "name", "subject", "rules", "quarantine",
        "completeness", "backtest", "manifest", "left_out", "assumptions",
    }  # fmt: skip
    (rule,) = proposal["rules"]
    assert 0.9 < rule["p_need_7d"] <= rule["p_need"] < 1.0
    assert rule["confidence"] == pytest.approx(rule["p_need"] * rule["p_legit"], abs=1e-3)
    assert rule["confidence_reason"] == ""
    assert form["calibration"]["reason"].startswith("too little seen: 14 fully observed days")
    assert "two weeks allow no valid recalibration" in form["calibration"]["recalibration_reason"]
    assert form["forecast"]["cluster"]["expected_denied_edges_7d"] > 0.0
    assert rule["path"] == "ingress[0]"
    assert rule["peer"] == {
        "kind": "endpoint", "cluster": "", "namespace": "shop", "workload": "Deployment/web", "labels": {"app": "web"},
    }  # fmt: skip
    assert rule["ports"] == [{"protocol": "TCP", "port": 8080}]
    assert rule["evidence"]["first_seen"] == "2026-03-01T01:00:00Z"
    assert 0.0 < proposal["completeness"]["ingress"]["probability_no_denial_7d"] < 1.0
    assert proposal["backtest"] == {
        "checked": 14,
        "admitted": 14,
        "undecided": 0,
        "denied": [],
        "days": {},
        "requests": 0,
        "requests_undecided": 0,
        "requests_refused": 0,
        "denied_edge_days": 0,
        "denied_legitimate": 0,
        "denied_in_all": 0,
    }
    assert proposal["manifest"]["kind"] == "CiliumNetworkPolicy"


def test_every_path_is_the_place_of_the_rule_in_the_manifest(world):
    """``egress[3]`` of the manifest holds the peer of the rule."""
    world.dns(world.pod("shop", "web"), world.kube_dns())
    for proposal in propose(world.observations()).to_json()["proposals"]:
        for rule in proposal["rules"]:
            section, _, number = rule["path"].removesuffix("]").partition("[")
            entry = proposal["manifest"]["spec"][section][int(number)]
            assert rule["direction"] == section
            labels = rule["peer"]["labels"] or {"any": "Exists"}
            assert all(value in json.dumps(entry) for value in labels.values())


def test_trap_A14_a_hostile_namespace_reaches_no_policy(world):
    """Neither as a subject nor as a peer, and it does not stop the others."""
    evil = world.pod('x"\n', "evil")
    world.edge(evil, world.pod("shop", "api"), days=[3])
    result = propose(world.observations())
    assert {one.namespace for one in result.proposals} == {"shop"}
    assert reasons(proposal_for(result, "api").left_out) == {"unresolved"}
    assert "subject_unknown" in reasons(result.left_out)


def test_trap_L4_a_manifest_that_would_be_refused_is_set_apart(world, monkeypatch):
    """With the reason; the other proposals are kept."""
    real = run.problems

    def strict(manifest, **options):
        if manifest["metadata"]["name"].startswith("portolan-web"):
            return [Problem("spec", "is refused in this test")]
        return real(manifest, **options)

    monkeypatch.setattr(run, "problems", strict)
    result = propose(world.observations())
    assert [one.subject.workloads for one in result.proposals] == [("Deployment/api",)]
    assert [(one.reason, one.workloads) for one in result.unproposed] == [
        ("manifest_refused", ("Deployment/web",))
    ]
    assert "is refused in this test" in result.unproposed[0].why


def crowded(world):
    """The world, in which ``web`` calls sixty more workloads."""
    web = Pods(world.identities[0]["label_key"], "shop", {})
    for number in range(60):
        world.edge(web, world.pod("billing", f"service-{number:02}"))
    return world


def test_trap_L5_a_policy_too_large_for_one_object_is_proposed_in_parts(world, monkeypatch):
    """Replayed as a whole; every rule says in which part it stands; the policies that fit are as they were."""
    before = propose(crowded(world).observations())
    monkeypatch.setattr(validate, "MAX_OBJECT_BYTES", 5_000)
    result = propose(world.observations())
    assert result.unproposed == before.unproposed
    web = proposal_for(result, "web")
    for key, manifest in before.manifests.items():
        assert key == web.key or result.manifests[key] == manifest
    parts = result.manifests[web.key]["items"]
    assert len(parts) > 1
    assert web.backtest.checked == web.backtest.admitted > 0
    assert not web.flags
    assert web.fingerprint == proposal_for(before, "web").fingerprint
    for rule in web.rules:
        at = re.fullmatch(r"items\[(\d+)\]\.spec\.(\w+)\[(\d+)\]", rule.path)
        number, section, place = at.groups()
        entry = parts[int(number)]["spec"][section][int(place)]
        assert rule.peer.each[0].selector.labels[0][1] in json.dumps(entry)


def test_trap_L5_what_cannot_be_split_is_set_apart(world, monkeypatch):
    """It is said with its size and what to do; the other proposals are kept."""
    monkeypatch.setattr(validate, "MAX_OBJECT_BYTES", 1_500)
    result = propose(crowded(world).observations())
    assert len(result.proposals) == 61
    (refused,) = result.unproposed
    assert (refused.reason, refused.workloads) == ("manifest_refused", ("Deployment/web",))
    assert "split the policy or name wider peers" in refused.why


def test_a_second_process_changes_nothing(world, monkeypatch):
    """The replay of a large estate is done beside its confidence, and comes to the same."""
    alone = propose(world.observations())
    monkeypatch.setattr(run, "MIN_EDGES_BESIDE", 1)
    beside = propose(world.observations(), both=forked)
    assert json.dumps(beside.to_json()) == json.dumps(alone.to_json())


def test_capabilities_come_from_the_configuration_before_the_data():
    """And what was not configured is said."""
    found = resolve_capabilities(CapabilityHints(fqdn=False, cilium_version="1.18.6"), names_seen=True)
    assert (found.fqdn, found.cilium_version, found.default_deny_switch, found.assumptions) == (
        False, (1, 18), True, (),
    )  # fmt: skip
    guessed = resolve_capabilities(CapabilityHints(), names_seen=True)
    assert guessed.fqdn
    assert not guessed.default_deny_switch
    assert {one.code for one in guessed.assumptions} == {"fqdn_from_data", "cilium_version_unknown"}


@pytest.mark.parametrize("text", ["", "latest", "1", "1.x", "one.two", "1.\u0662"])
def test_a_version_that_is_none_is_refused(text):
    """With the text and the form."""
    with pytest.raises(BadInputError, match=r"1\.18"):
        parse_version(text)
