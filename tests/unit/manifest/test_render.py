"""Manifests: valid for every release, the same bytes every time, and readable."""

import json
import re

import jsonschema
import pytest
import yaml

from jobs.propose import propose
from models.domain.capabilities import CapabilityHints
from models.errors import UnsupportedError
from models.manifest.render import cilium_manifest, manifest_yaml, to_yaml
from models.manifest.render_kubernetes import cannot_say, kubernetes_comments, kubernetes_manifest
from models.manifest.validate import problems
from tests.support import shared_path
from tests.unit.synthesis.world import World, proposal_for, shuffled

RELEASES = {"1.17": "1.17/", "1.18": "1.18/", "1.19": "1.19/", "1.20": ""}


def estate() -> World:
    """One of everything that a manifest may hold."""
    world = World()
    dns, far = world.kube_dns(), world.pod("shop", "ledger", cilium_cluster="west")
    web, api = world.pod("shop", "web"), world.pod("shop", "api")
    world.edge(web, api)
    world.edge(web, far, 8443)
    world.edge(web, api, -1, "ICMPv4", icmp_type=8)
    world.edge(web, api, -1, "ICMPv6", icmp_type=128)
    world.edge(web, api, 3868, "SCTP")
    for port in range(9000, 9050):
        world.edge(web, api, port)
    for client in (web, api):
        world.dns(client, dns)
    world.to(web, "ip", "52.1.2.4", 443, names="api.example.com")
    world.to(web, "ip", "52.9.9.9", 443)
    world.to(web, "ip", "2a00:1450::e", 443)
    world.to(web, "ip", "169.254.169.254", 80)
    world.to(web, "entity", "kube-apiserver", 443)
    world.at_server(web, "entity", "remote-node", 8080)
    for number in range(12):
        world.at_server(web, "ip", f"93.184.216.{number}", 8443)
    return world


def closed(schema):
    """The schema with unknown fields refused, as kubectl does; metadata stays open."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(part) for key, part in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        made.setdefault("additionalProperties", False)
    return made


@pytest.fixture(scope="module")
def result():
    return propose(estate().observations())


@pytest.mark.parametrize("release", sorted(RELEASES))
def test_trap_D7_L4_every_manifest_passes_the_schema_of_the_release(result, release):
    """The API server would take it, unknown fields refused."""
    text = shared_path(f"data/crds/{RELEASES[release]}ciliumnetworkpolicies.yaml").read_text()
    (version,) = [v for v in yaml.safe_load(text)["spec"]["versions"] if v["name"] == "v2"]
    # Not checked itself: a pattern of a field that is never written is RE2 and no Python expression.
    validator = jsonschema.Draft202012Validator(closed(version["schema"]["openAPIV3Schema"]))
    assert result.manifests
    for manifest in result.manifests.values():
        assert list(validator.iter_errors(manifest)) == []
        assert problems(manifest, cilium_version=release) == []


def test_trap_L1_the_order_of_records_changes_no_byte(result):
    """Nodes arrive interleaved in another way every night."""
    other = propose(shuffled(estate().observations(), 7))
    assert [manifest_yaml(one) for one in other.proposals] == [manifest_yaml(one) for one in result.proposals]


def test_trap_L2_ports_are_sorted_as_numbers():
    """Text would put 1000 before 53."""
    world = World()
    web, api = world.pod("shop", "web"), world.pod("shop", "api")
    for port in (1000, 53001, 80, 443, 9):
        world.edge(web, api, port)
    manifest = propose(world.observations()).manifests.values()
    ports = [
        entry["port"]
        for one in manifest
        if "ingress" in one["spec"]
        for entry in one["spec"]["ingress"][0]["toPorts"][0]["ports"]
    ]
    assert ports == ["9", "80", "443", "1000", "53001"]


@pytest.mark.parametrize(
    "value",
    [
        "on",
        "off",
        "no",
        "y",
        "true",
        "null",
        "1e3",
        "0x10",
        "007",
        "1.10",
        "2026-01-01",
        "12",
        "1_0",
        ".5",
        "0b1",
    ],
)
def test_trap_L3_values_that_look_like_something_else_are_quoted(value):
    """A label value is text, whatever a YAML reader would make of it."""
    text = to_yaml({"matchLabels": {"app": value, value: "x"}})
    assert f'app: "{value}"' in text
    assert f'"{value}": x' in text
    assert yaml.safe_load(text) == {"matchLabels": {"app": value, value: "x"}}


@pytest.mark.parametrize(
    "value",
    [
        "*",
        "a: b",
        "a #b",
        "line\nbreak",
        "- x",
        "{x}",
        "&a",
        "!tag",
        "\u2028",
        "'",
        '"',
        "é",
        "a\x00b",
        "% x",
        "@x",
        "`x",
        "k: ",
        "a:",
    ],
)
def test_trap_A14_hostile_text_stays_text(value):
    """A flow is hostile input; what was written is what is read."""
    text = to_yaml({"note": value}, comments=(value,))
    assert yaml.safe_load(text) == {"note": value}
    assert text.count("\n") == 2


def test_trap_A14_hostile_labels_and_names_reach_no_manifest():
    """Labels that Kubernetes would refuse are never selected, and nothing breaks."""
    world = World()
    api = world.pod("shop", "api")
    evil = world.pod("shop", "evil", {"app": "x\n  egress: [{}]", "k8s-app": "evil", "a b": "c"})
    world.edge(evil, api)
    world.to(evil, "ip", "52.1.2.4", 443, names="a.example.com\n- toEntities: [all]")
    manifest = propose(world.observations(), capabilities=CapabilityHints(fqdn=True)).manifests
    text = json.dumps(list(manifest.values()))
    assert "toEntities" not in text
    assert "k8s-app" in text
    assert problems(next(iter(manifest.values()))) == []


def test_trap_L4_the_linter_refuses_before_anything_is_kept(result):
    """Schema and agent checks both, on the manifest itself."""
    manifest = json.loads(json.dumps(next(iter(result.manifests.values()))))
    manifest["spec"]["ingress"] = [{"fromEntities": ["world-ipv4"]}]
    assert problems(manifest)


def test_every_name_is_a_label_value_and_unique(result):
    """The name becomes a label in Hubble's attribution."""
    names = [(one.namespace, one.name) for one in result.proposals]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name) for _, name in names)


def test_a_manifest_says_what_it_is_and_where_it_comes_from(result):
    """Why, since when, by which version; and the standard label."""
    proposal = proposal_for(result, "web")
    manifest = cilium_manifest(proposal)
    assert manifest["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "portolan"
    annotations = manifest["metadata"]["annotations"]
    assert annotations["portolan.dev/observed-since"] == "2026-03-01"
    assert annotations["portolan.dev/fingerprint"] == proposal.fingerprint
    assert annotations["portolan.dev/generator"].startswith("portolan")
    assert manifest["spec"]["description"].startswith("Allow-list of Deployment web")
    assert list(manifest) == ["apiVersion", "kind", "metadata", "spec"]
    assert list(manifest["spec"]) == ["description", "endpointSelector", "ingress", "egress"]


def test_the_text_is_the_manifest_with_a_reason_above_every_entry(result):
    """A person reads the file, a cluster reads the object; both are the same."""
    for proposal in result.proposals:
        text = manifest_yaml(proposal)
        manifest = cilium_manifest(proposal)
        assert yaml.safe_load(text) == manifest
        entries = sum(len(manifest["spec"].get(section, ())) for section in ("ingress", "egress"))
        assert len(re.findall(r"^    # ", text, re.MULTILINE)) == entries


def test_a_choice_of_rules_writes_exactly_those(result):
    """A direction of which no rule is chosen has no section."""
    proposal = proposal_for(result, "web")
    chosen = [rule for rule in proposal.rules if rule.direction == "egress" and "ledger" in rule.title]
    manifest = cilium_manifest(proposal, include={rule.id for rule in chosen})
    assert "ingress" not in manifest["spec"]
    assert len(manifest["spec"]["egress"]) == 1
    assert "Holds 1 of the" in manifest_yaml(proposal, include={rule.id for rule in chosen})


def test_no_rule_is_refused_and_not_written_as_an_empty_policy(result):
    """An empty policy is refused by the agent and would enforce nothing."""
    with pytest.raises(UnsupportedError, match="no rule is chosen"):
        cilium_manifest(result.proposals[0], include=())


def test_trap_I4_shadow_mode_switches_the_default_deny_off_where_the_switch_exists(result):
    """For the directions that have a section."""
    manifest = cilium_manifest(proposal_for(result, "web"), mode="shadow", cilium_version="1.17")
    assert manifest["spec"]["enableDefaultDeny"] == {"ingress": False, "egress": False}
    assert problems(manifest, cilium_version="1.17") == []


@pytest.mark.parametrize("version", [None, "1.15.3"])
def test_trap_I4_shadow_mode_is_refused_for_a_cluster_without_the_switch(result, version):
    """An older Cilium ignores the field and would enforce."""
    with pytest.raises(UnsupportedError, match=r"1\.16"):
        cilium_manifest(proposal_for(result, "web"), mode="shadow", cilium_version=version)


def test_a_kubernetes_policy_says_the_same_where_it_can(result):
    """Ports as numbers, namespaces by their name label, both directions listed."""
    world = World()
    web, api = world.pod("shop", "web"), world.pod("crm", "api")
    world.edge(web, api)
    proposal = proposal_for(propose(world.observations()), "api")
    manifest = kubernetes_manifest(proposal)
    assert manifest["spec"] == {
        "podSelector": {"matchLabels": {"app": "api"}},
        "policyTypes": ["Ingress"],
        "ingress": [
            {
                "from": [
                    {
                        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}},
                        "podSelector": {"matchLabels": {"app": "web"}},
                    }
                ],
                "ports": [{"port": 8080, "protocol": "TCP"}],
            }
        ],
    }
    assert cannot_say(proposal) == ()
    assert problems(manifest) == []


def test_what_a_kubernetes_policy_cannot_say_is_listed_and_keeps_its_direction_open(result):
    """Denying what was seen to work would be worse than no section."""
    proposal = proposal_for(result, "web")
    said = " ".join(cannot_say(proposal))
    for obstacle in (
        "DNS names",
        "kube-apiserver",
        "ICMP",
        "remote-node",
        "another cluster",
        "not inspected",
    ):
        assert obstacle in said
    with pytest.raises(UnsupportedError, match="no NetworkPolicy can say any of it"):
        kubernetes_manifest(proposal)
    keep = {rule.id for rule in proposal.rules if rule.peer.key in ("entity:world", "cidr:52.9.9.9/32")}
    manifest = kubernetes_manifest(proposal, include=keep)
    assert manifest["spec"]["ingress"][0]["from"] == [
        {"ipBlock": {"cidr": "0.0.0.0/0"}},
        {"ipBlock": {"cidr": "::/0"}},
    ]
    assert problems(manifest) == []
    assert kubernetes_comments(proposal)[-1].startswith("Not expressible here")


def test_a_port_open_to_anyone_has_no_list_of_peers_in_a_kubernetes_policy():
    """No ``from`` is everybody; an address block would leave out the pods."""
    world = World()
    api = world.pod("shop", "api")
    world.edge(world.pod("shop", "web"), api)
    world.at_server(api, "unresolved", "10.244.1.7", 9000)
    proposal = proposal_for(propose(world.observations()), "api")
    ingress = kubernetes_manifest(proposal)["spec"]["ingress"]
    assert {"ports": [{"port": 9000, "protocol": "TCP"}]} in ingress
    assert any("from" in entry for entry in ingress)
    assert not any("cannot be selected" in said for said in cannot_say(proposal))


def test_a_kubernetes_policy_for_a_resolver_admits_every_namespace():
    """Pods of the whole cluster, by an empty namespace selector."""
    world = World()
    dns = world.kube_dns()
    world.dns(world.pod("shop", "web"), dns, seen=False)
    manifest = kubernetes_manifest(proposal_for(propose(world.observations()), "coredns"))
    assert manifest["spec"]["ingress"][0]["from"] == [{"namespaceSelector": {}}]


def test_a_service_account_cannot_be_selected_by_a_kubernetes_policy():
    """It is no label of the pod."""
    world = World()
    world.edge(world.pod("shop", "bare", {}, service_account="bare-sa"), world.pod("shop", "api"))
    with pytest.raises(UnsupportedError, match="service account"):
        kubernetes_manifest(proposal_for(propose(world.observations()), "bare"))


def test_trap_I2_egress_with_only_the_resolver_chosen_is_left_open(result):
    """Questions allowed and every connection after them denied would be an outage."""
    proposal = proposal_for(result, "web")
    kept = {rule.id for rule in proposal.rules if rule.direction == "ingress" or "resolver" in rule.flags}
    assert {rule.direction for rule in proposal.rules if rule.id in kept} == {"ingress", "egress"}
    manifest = cilium_manifest(proposal, include=kept)
    assert "egress" not in manifest["spec"]
    assert manifest["spec"]["ingress"]
    assert "egress: Left open" in manifest_yaml(proposal, include=kept)
