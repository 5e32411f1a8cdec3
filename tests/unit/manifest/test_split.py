"""Policies too large for one object: the parts say together what one would, and a cluster takes each."""

import re
from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.agent import AgentConfig
from models.domain.http import HttpTemplate
from models.domain.peer import CidrPeer, EndpointPeer, EntityPeer, FqdnPeer, LabelSelector
from models.domain.policy import Direction
from models.domain.proposal import DirectionDecision, Proposal, Subject
from models.domain.rule import Port, Rule, RuleEvidence, rule_id
from models.errors import UnsupportedError
from models.manifest import validate
from models.manifest.lists import opened
from models.manifest.parse import parse_objects
from models.manifest.render import cilium_manifest, manifest_yaml, paths_in_parts
from models.manifest.render_kubernetes import kubernetes_manifest
from models.manifest.split import MAX_APPLIED_BYTES, PART_ANNOTATION, part_name
from models.manifest.validate import object_bytes, problems
from models.manifest.yaml_text import to_yaml
from models.simulation.context import DnsQuestion, HttpRequest, PolicyFlow, Side
from models.simulation.verdict import evaluate
from tests import strategies_policy as alphabet

KEY = "0123456789abcdef"
NAME = "portolan-web-0a1b2c3d"
#: Small enough that a few dozen peers need several parts, with room for what each part says of itself.
LIMIT = 5_000
CONFIG = AgentConfig(cilium_version="1.18")
WAYS = ("ingress", "egress")


def rule(direction, peer, *ports, **more):
    """One rule, as synthesis makes it."""
    return Rule(rule_id(KEY, direction, peer, ports), direction, peer, ports, RuleEvidence(), **more)


def policy_of(*rules):
    """Policy of ``web`` in ``shop`` with these rules."""
    open_way = DirectionDecision(enforced=True, reason="observed", why="All of it has a place.")
    return Proposal(
        key=KEY,
        cluster="default",
        namespace="shop",
        name=NAME,
        subject=Subject(LabelSelector((("app", "web"),)), ("Deployment/web",)),
        description="Allow-list of web.",
        rules=tuple(sorted(rules, key=lambda one: one.sort_key)),
        ingress=open_way,
        egress=open_way,
        left_out=(),
        maturity="maturing",
        observed_from_us=1_772_409_600_000_000,
        effective_days=13.0,
    )


def workload(name, namespace="shop", cluster=""):
    """A peer of the cluster."""
    return EndpointPeer(cluster, namespace, (f"Deployment/{name}",), LabelSelector((("app", name),)))


def addresses(count, first=0):
    """So many peers outside."""
    return [CidrPeer(f"198.18.{number >> 8}.{number & 255}/32") for number in range(first, first + count)]


TCP = [Port("TCP", number) for number in (80, 443, 8080)]


@st.composite
def peers(draw):
    """A peer that flows of the small world hit, or a list of them."""
    kind = draw(st.sampled_from(("workload", "workloads", "cidr", "entity", "name", "names")))
    workloads = [workload(name, namespace) for name in alphabet.APPS for namespace in alphabet.NAMESPACES]
    names = [FqdnPeer(name) for name in alphabet.NAMES] + [FqdnPeer("", "*.example.com")]
    if kind == "workloads":
        filler = [workload(f"job-{number}") for number in range(draw(st.integers(0, 60)))]
        members = draw(st.lists(st.sampled_from(workloads), min_size=2, max_size=4, unique=True))
        return EndpointPeer("", "*", (), LabelSelector(), tuple(sorted((*members, *filler))))
    if kind == "names":
        filler = [FqdnPeer(f"host-{number}.example.net") for number in range(draw(st.integers(0, 40)))]
        members = draw(st.lists(st.sampled_from(names), min_size=2, max_size=4, unique=True))
        return FqdnPeer(members=tuple(sorted((*members, *filler))))
    given_ones = {
        "workload": workloads,
        "cidr": [CidrPeer(prefix) for prefix in alphabet.PREFIXES],
        "entity": [EntityPeer(name) for name in ("world", "cluster", "host", "kube-apiserver")],
        "name": names,
    }
    return draw(st.sampled_from(given_ones[kind]))


@st.composite
def rules(draw):
    """A rule in either direction, sometimes with lists of requests or questions, sometimes of many ports."""
    direction, peer = draw(st.sampled_from(WAYS)), draw(peers())
    if isinstance(peer, FqdnPeer):
        direction = "egress"
    kind = draw(st.sampled_from(("port", "port", "port", "ports", "icmp", "http", "dns")))
    if kind == "icmp":
        return rule(direction, peer, Port("ICMPv4", 8))
    if kind == "http" and not isinstance(peer, FqdnPeer):
        paths = [f"/items/{number}" for number in range(draw(st.integers(1, 30)))]
        return rule(direction, peer, Port("TCP", 80), http=tuple(HttpTemplate("GET", path) for path in paths))
    if kind == "dns" and isinstance(peer, EndpointPeer):
        asked = tuple(f"host-{number}.example.com" for number in range(draw(st.integers(1, 30))))
        ports = (Port("TCP", 53), Port("UDP", 53))
        return rule("egress", peer, *ports, dns=asked, flags=("resolver",))
    if kind == "ports":
        first = draw(st.sampled_from((80, 400, 8050)))
        return rule(
            direction, peer, *(Port("TCP", first + number) for number in range(draw(st.integers(2, 90))))
        )
    return rule(direction, peer, Port("TCP", draw(st.sampled_from(alphabet.PORTS))))


@st.composite
def proposals(draw):
    """A policy of which some entries are large."""
    found = {one.id: one for one in draw(st.lists(rules(), min_size=1, max_size=8))}
    for direction in WAYS:
        for peer in addresses(draw(st.sampled_from((0, 20, 150, 250)))):
            one = rule(direction, peer, draw(st.sampled_from(TCP)))
            found[one.id] = one
    return policy_of(*found.values())


WEB = Side(("k8s:app=web", "k8s:io.kubernetes.pod.namespace=shop"), named_ports=())


def side_of(peer):
    """Somebody whom a peer of a rule means."""
    match peer:
        case EndpointPeer():
            return Side(
                (f"k8s:app={peer.selector.labels[0][1]}", f"k8s:io.kubernetes.pod.namespace={peer.namespace}")
            )
        case EntityPeer():
            return Side(entity=peer.entity, names=())
        case FqdnPeer():
            return Side(ip="203.0.113.7", names=(peer.name or "any.example.com",))
        case CidrPeer():
            return Side(ip=peer.cidr.partition("/")[0], names=())


def probes_of(proposal):
    """Connections at both ends of what each rule lists, and beside it; of rules of one shape some only."""
    for one in proposal.rules[:20] + proposal.rules[20::9]:
        listed = one.peer.each if isinstance(one.peer, EndpointPeer | FqdnPeer) else (one.peer,)
        for peer in {listed[0]: 0, listed[len(listed) // 2]: 0, listed[-1]: 0}:
            for port in (one.ports[0], one.ports[-1], Port("TCP", 81)):
                other = side_of(peer)
                ends = (other, WEB) if one.direction == "ingress" else (WEB, other)
                protocol = "ICMP" if port.icmp else port.protocol
                yield from asked_layer7(PolicyFlow(Direction(one.direction), *ends, protocol, port.number))


def asked_layer7(flow):
    """The same connection with a request, or a question, that some lists have and others do not."""
    found = [flow]
    if flow.port == 80:
        found += [replace(flow, l7=HttpRequest("GET", path)) for path in ("/items/0", "/items/25", "/no")]
    if flow.port == 53:
        names = ("host-0.example.com", "host-25.example.com", "example.org")
        found += [replace(flow, l7=DnsQuestion(name)) for name in names]
    return found


@pytest.fixture
def small(monkeypatch):
    """A cluster that takes small objects only."""
    monkeypatch.setattr(validate, "MAX_OBJECT_BYTES", LIMIT)


def render(proposal, kind):
    """Manifest of one kind; None where the kind cannot say it."""
    try:
        if kind == "kubernetes":
            return kubernetes_manifest(proposal)
        return cilium_manifest(proposal, mode=kind, cilium_version="1.18")
    except UnsupportedError:
        return None


def both(proposal, kind):
    """The manifest as one object, and as a cluster that takes small objects gets it."""
    whole = render(proposal, kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validate, "MAX_OBJECT_BYTES", LIMIT)
        return whole, render(proposal, kind)


kinds = st.sampled_from(("enforce", "shadow", "kubernetes"))


@settings(max_examples=60, deadline=None)
@given(proposals(), kinds, st.lists(alphabet.flows(), max_size=8))
def test_trap_L5_the_parts_decide_every_flow_as_the_whole_would(proposal, kind, others):
    """Layer 7 and default deny included, whichever part holds the rule."""
    whole, parted = both(proposal, kind)
    if whole is None:
        return
    one = parse_objects([whole], config=CONFIG)
    several = parse_objects([parted], config=CONFIG)
    for flow in (*probes_of(proposal), *others):
        expected, found = evaluate(one, flow, CONFIG), evaluate(several, flow, CONFIG)
        assert expected.verdict == found.verdict
        assert [gate.default_deny for gate in expected.gates] == [gate.default_deny for gate in found.gates]


@settings(max_examples=60, deadline=None)
@given(proposals(), kinds)
def test_trap_L5_a_cluster_takes_every_part_and_none_is_all_wrapping(proposal, kind):
    """Within the limit, valid, with a name of its own, and at least half full of what it is for."""
    whole, parted = both(proposal, kind)
    if whole is None or parted["kind"] != "List":
        assert whole == parted
        return
    parts = parted["items"]
    assert len(parts) > 1
    names = [part["metadata"]["name"] for part in parts]
    assert names == [NAME, *(f"{NAME}-{number}" for number in range(2, len(parts) + 1))]
    for number, part in enumerate(parts, start=1):
        assert problems(part, cilium_version="1.18") == []
        assert object_bytes(part) <= LIMIT
        entries = {way: part["spec"].get(way, []) for way in WAYS}
        assert object_bytes(entries) >= object_bytes(part) / 2
        assert part["metadata"]["annotations"][PART_ANNOTATION].startswith(f"{number} of {len(parts)}")
        assert all(part["spec"].get(way, ["left out"]) for way in WAYS)
    selectors = [part["spec"].get("endpointSelector", part["spec"].get("podSelector")) for part in parts]
    assert all(selector == selectors[0] for selector in selectors)


@settings(max_examples=30, deadline=None)
@given(proposals(), kinds)
def test_trap_L5_a_rule_behind_the_others_moves_none_of_them(proposal, kind):
    """Only the last part changes, and the numbers of how many there are."""
    last = rule("egress", CidrPeer("223.255.255.0/24"), Port("TCP", 65_000))
    _, before = both(proposal, kind)
    _, after = both(replace(proposal, rules=(*proposal.rules, last)), kind)
    _, again = both(proposal, kind)
    assert before == again
    if before is None or before["kind"] != "List" or after["kind"] != "List":
        return
    kept = [part["spec"] for part in before["items"]][:-2]
    assert [part["spec"] for part in after["items"]][: len(kept)] == kept


def test_trap_L5_entries_stay_whole_where_they_fit(small):
    """In their order, the first section first; the resolver's entry stands once."""
    resolver = workload("kube-dns", "kube-system")
    asked = rule("egress", resolver, Port("TCP", 53), Port("UDP", 53), dns=("*",), flags=("resolver",))
    many = [
        rule(way, peer, Port("TCP", 443 + n % 9)) for way in WAYS for n, peer in enumerate(addresses(270))
    ]
    proposal = policy_of(asked, *many)
    parted = cilium_manifest(proposal)
    entries = [
        (way, entry) for part in parted["items"] for way in WAYS for entry in part["spec"].get(way, ())
    ]
    assert [way for way, _ in entries] == sorted((way for way, _ in entries), reverse=True)
    assert len(parted["items"]) > 2
    assert len(entries) == 9 + 10
    assert sum("rules" in str(entry) for _, entry in entries) == 1


def test_trap_L5_one_entry_is_cut_by_its_peers_and_then_by_its_ports(small):
    """Nothing is lost, and no list of ports is longer than the schema takes."""
    ports = [Port("TCP", number) for number in range(1_000, 1_400, 2)]
    proposal = policy_of(*(rule("egress", peer, *ports) for peer in addresses(2)))
    parted = cilium_manifest(proposal)
    found = [
        (cidr, int(port["port"]))
        for part in parted["items"]
        for entry in part["spec"]["egress"]
        for cidr in entry["toCIDR"]
        for element in entry["toPorts"]
        for port in element["ports"]
    ]
    assert found == [(peer.cidr, port.number) for peer in addresses(2) for port in ports]
    assert all(problems(part) == [] for part in parted["items"])


def test_trap_L5_what_cannot_be_split_stays_whole_and_is_refused(monkeypatch):
    """What each part would say of itself leaves no room for anything else."""
    monkeypatch.setattr(validate, "MAX_OBJECT_BYTES", 1_200)
    manifest = cilium_manifest(policy_of(*(rule("egress", peer, TCP[1]) for peer in addresses(99))))
    assert manifest["kind"] == "CiliumNetworkPolicy"
    assert [one.path for one in problems(manifest)] == ["spec"]


def test_trap_L5_a_part_leaves_kubectl_room_to_keep_it_in_an_annotation():
    """``kubectl apply`` keeps the object in one, and all of them have 256 KiB."""
    whole = [rule("egress", peer, TCP[1]) for peer in addresses(60_000)]
    parted = cilium_manifest(policy_of(*whole))
    assert 5 <= len(parted["items"]) <= 7
    for part in parted["items"]:
        kept = object_bytes(part)
        assert kept <= MAX_APPLIED_BYTES
        applied = part | {"metadata": part["metadata"] | {"annotations": {"last-applied": "x" * kept}}}
        applied["metadata"]["annotations"] |= part["metadata"]["annotations"]
        assert problems(applied) == []
    assert sum(len(entry["toCIDR"]) for part in parted["items"] for entry in part["spec"]["egress"]) == 60_000


def test_trap_L5_the_text_is_the_list_with_a_reason_above_every_entry(small):
    """A person reads the file, a cluster reads the list; and every rule says where it stands in it."""
    many = [rule(way, peer, TCP[n % 3]) for way in WAYS for n, peer in enumerate(addresses(200))]
    proposal = policy_of(*many)
    parted, text = cilium_manifest(proposal), manifest_yaml(proposal)
    assert yaml.safe_load(text) == parted
    plain = [line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#")]
    assert "".join(plain) == to_yaml(parted)
    count = sum(len(part["spec"].get(way, ())) for part in parted["items"] for way in WAYS)
    assert len(re.findall(r"^        # 198\.18\.", text, re.MULTILINE)) == count
    assert f"# Written as {len(parted['items'])} policies" in text
    paths = paths_in_parts(proposal)
    assert set(paths) == {one.id for one in proposal.rules}
    for one in proposal.rules:
        number, way, place = re.fullmatch(r"items\[(\d+)\]\.spec\.(\w+)\[(\d+)\]", paths[one.id]).groups()
        assert way == one.direction
        assert one.peer.cidr in str(parted["items"][int(number)]["spec"][way][int(place)])


def test_a_policy_that_fits_has_no_parts(small):
    """Nor places in them, and its text has nothing about them."""
    proposal = policy_of(rule("egress", workload("api"), TCP[0]))
    assert cilium_manifest(proposal)["kind"] == "CiliumNetworkPolicy"
    assert paths_in_parts(proposal) == {}
    assert "Written as" not in manifest_yaml(proposal)


def test_a_choice_of_rules_is_split_by_what_is_chosen(small):
    """The same proposal may need one object or several."""
    many = [rule("egress", peer, TCP[1]) for peer in addresses(300)]
    proposal = policy_of(*many)
    few = {one.id for one in many[:20]}
    assert cilium_manifest(proposal)["kind"] == "List"
    assert cilium_manifest(proposal, include=few)["kind"] == "CiliumNetworkPolicy"


def test_shadow_parts_deny_nothing_and_name_only_what_they_hold(small):
    """The switch stands for the directions of the part."""
    many = [rule(way, peer, TCP[1]) for way in WAYS for peer in addresses(200)]
    parted = cilium_manifest(policy_of(*many), mode="shadow", cilium_version="1.18")
    for part in parted["items"]:
        assert part["spec"]["enableDefaultDeny"] == {way: False for way in WAYS if way in part["spec"]}
    for entry in parse_objects([parted], config=CONFIG).entries:
        assert not entry.default_deny
        assert entry.direction in Direction


def test_kubernetes_parts_name_the_types_that_they_hold(small):
    """A type without rules would deny its direction."""
    many = [rule(way, peer, TCP[1]) for way in WAYS for peer in addresses(200)]
    parted = kubernetes_manifest(policy_of(*many))
    for part in parted["items"]:
        assert part["spec"]["policyTypes"] == [way.capitalize() for way in WAYS if way in part["spec"]]


def test_problems_of_a_list_say_in_which_part_they_are(small):
    """As a place in the list."""
    many = [rule("egress", peer, TCP[1]) for peer in addresses(300)]
    parted = cilium_manifest(policy_of(*many))
    assert problems(parted) == []
    parted["items"][1]["spec"]["egress"][0]["toCIDR"][0] = "nowhere"
    assert [one.path for one in problems(parted)] == ["items[1].spec.egress[0].toCIDR[0]"]
    assert [one.path for one in problems({"kind": "List", "items": [parted]})] == ["items[0].kind"]


@pytest.mark.parametrize("stem", ["web", "w" * 45, "w-" * 22 + "w"])
def test_names_of_parts_are_label_values_that_no_policy_has(stem):
    """Sixty-three characters, the hash kept: names of policies end with a hash of eight."""
    name = f"portolan-{stem}-0a1b2c3d"
    names = [part_name(name, number) for number in range(1, 200)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", one) for one in names)
    assert all("-0a1b2c3d-" in one for one in names[1:])


def test_lists_are_opened_one_level(small):
    """Typed ones lend their kind to members without one."""
    assert list(opened({"kind": "List", "items": [{"kind": "Pod"}, 7]})) == [{"kind": "Pod"}]
