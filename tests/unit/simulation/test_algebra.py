"""Rules compared with rules: containment is certain, findings stand where they point."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.agent import AgentConfig
from models.domain.policy import Direction, PolicySet
from models.manifest.parse import parse_objects
from models.simulation.compiled import CompiledPolicies
from models.simulation.containment import entry_within
from models.simulation.context import PolicyFlow, Side, resolve
from models.simulation.costs import Breadth, map_entries
from models.simulation.decision import Verdict
from models.simulation.diff import compare_policies, probe_flows
from models.simulation.dns_sanity import find_dns_problems
from models.simulation.edges import EdgeTable
from models.simulation.findings import FindingKind
from models.simulation.overlap import find_overlaps
from models.simulation.subject_index import SubjectIndex
from models.simulation.verdict import evaluate, selects_subject
from tests.strategies_policy import flows, policy_objects
from tests.unit.simulation.test_unknown import API, CONFIG, WEB, cnp, egress

DNS_RULE = {
    "toEndpoints": [
        {"matchLabels": {"k8s:io.kubernetes.pod.namespace": "kube-system", "k8s-app": "kube-dns"}}
    ],
    "toPorts": [{"ports": [{"port": "53", "protocol": "ANY"}], "rules": {"dns": [{"matchPattern": "*"}]}}],
}
RESOLVER = Side(("k8s:k8s-app=kube-dns", "k8s:io.kubernetes.pod.namespace=kube-system"), named_ports=())


def port(number: str, protocol: str = "TCP") -> dict:
    """One toPorts element."""
    return {"ports": [{"port": number, "protocol": protocol}]}


@settings(max_examples=80, deadline=None)
@given(policy_objects(3), st.lists(flows(), min_size=1, max_size=6), st.sampled_from(["1.17", "1.19"]))
def test_what_lies_within_a_rule_is_matched_by_it(objects, asked, version) -> None:
    """If one entry lies in another, every flow the inner one decides is decided alike by the outer one."""
    config = AgentConfig(cilium_version=version)
    entries = parse_objects(objects, config=config, inventory_complete=True).entries
    for inner in entries:
        for outer in entries:
            if inner is outer or not entry_within(inner, outer, config):
                continue
            for flow in asked:
                alone = [
                    evaluate(PolicySet((replace(e, default_deny=True, denies=True),)), flow, config)
                    for e in (inner, outer)
                ]
                if alone[0].rules and not alone[0].invalid:
                    assert alone[1].rules


@settings(max_examples=40, deadline=None)
@given(policy_objects(4), st.lists(flows(), min_size=1, max_size=8), st.sampled_from(["1.18", "1.19"]))
def test_taking_a_redundant_or_shadowed_rule_out_changes_no_verdict(objects, asked, version) -> None:
    """Each finding alone is safe to act on."""
    config = AgentConfig(cilium_version=version)
    policies = parse_objects(objects, config=config, inventory_complete=True)
    useless = {f.rule for f in find_overlaps(policies, config) if f.kind is FindingKind.REDUNDANT}
    for rule in useless:
        rest = [e for e in policies.entries if e.ref() != rule]
        if len(rest) != len(policies.entries) - 1:
            continue  # two objects of one name: the place is not unique
        for flow in asked:
            before = evaluate(policies, flow, config)
            after = evaluate(PolicySet(tuple(rest)), flow, config)
            assert before.invalid or after.invalid or before.verdict == after.verdict


def kinds(*objects: dict) -> list[tuple[str, str]]:
    """Kind and place of every finding."""
    return [(f.kind.value, f.rule.path) for f in find_overlaps(parse_objects(objects, config=CONFIG), CONFIG)]


def test_a_narrow_rule_inside_a_wide_one_is_redundant() -> None:
    """Same peer, fewer ports."""
    wide = {"toEndpoints": [{"matchLabels": {"app": "api"}}], "toPorts": [port("80"), port("443")]}
    narrow = {"toEndpoints": [{"matchLabels": {"app": "api", "tier": "back"}}], "toPorts": [port("443")]}
    assert kinds(egress(narrow, wide)) == [("redundant", "egress[0]")]


def test_an_allow_inside_a_deny_is_shadowed() -> None:
    """The deny wins whatever its width."""
    allow = {"toCIDR": ["10.1.0.0/16"], "toPorts": [port("443")]}
    assert kinds(egress(allow, egressDeny=[{"toCIDR": ["10.0.0.0/8"]}])) == [("shadowed", "egress[0]")]


def test_a_deny_with_a_hole_does_not_shadow_the_hole() -> None:
    """The exception of a deny is a real hole."""
    deny = {"toCIDRSet": [{"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}]}
    assert kinds(egress({"toCIDR": ["10.1.2.0/24"]}, egressDeny=[deny])) == []


def test_equal_rules_are_reported_once() -> None:
    """One of two equal rules is redundant, not both."""
    rule = {"toEntities": ["world"], "toPorts": [port("443")]}
    assert kinds(egress(rule, dict(rule))) == [("redundant", "egress[1]")]


def test_http_rules_beside_a_plain_rule_are_weakened() -> None:
    """A broader layer 4 rule silently lifts the restriction."""
    http = {"toEndpoints": [{}], "toPorts": [port("80") | {"rules": {"http": [{"path": "/a"}]}}]}
    assert ("weakened", "egress[0].toPorts[0]") in kinds(egress(http, {"toEndpoints": [{}]}))


def test_a_rule_that_matches_nothing_is_empty() -> None:
    """An empty entry only switches to default deny."""
    assert kinds(egress({})) == [("empty", "egress[0]")]


def test_a_closed_subject_without_dns_is_found() -> None:
    """Egress is closed and no resolver can be asked, over UDP or over TCP."""
    policies = parse_objects([egress({"toEntities": ["world"]})], config=CONFIG)
    found = find_dns_problems(policies, [WEB], [RESOLVER], CONFIG)
    assert [(f.kind.value, f.rule.path) for f in found] == [("no-dns", "egress[0]")]
    assert "over UDP and TCP 53" in found[0].because
    udp_only = DNS_RULE | {"toPorts": [port("53", "UDP")]}
    found = find_dns_problems(parse_objects([egress(udp_only)], config=CONFIG), [WEB], [RESOLVER], CONFIG)
    assert ["TCP 53" in f.because for f in found] == [True]


def test_names_without_a_dns_rule_are_never_learned() -> None:
    """ToFQDNs needs the proxy on the way to the resolver."""
    names = {"toFQDNs": [{"matchName": "a.com"}]}
    plain = DNS_RULE | {"toPorts": [port("53", "ANY")]}
    found = find_dns_problems(parse_objects([egress(names, plain)], config=CONFIG), [WEB], [RESOLVER], CONFIG)
    assert [(f.kind.value, f.rule.path) for f in found] == [("no-learning", "egress[0]")]
    right = parse_objects([egress(names, DNS_RULE)], config=CONFIG)
    assert find_dns_problems(right, [WEB], [RESOLVER], CONFIG) == ()


def test_map_entries_follow_identities_prefixes_and_protocols() -> None:
    """The reference's own numbers: ANY costs three, 1-65535 sixteen, every port one."""
    ports = [
        {"ports": [{"port": "53", "protocol": "ANY"}]},
        {"ports": [{"port": "1", "endPort": 65535, "protocol": "TCP"}]},
        {"ports": [{"port": "0", "protocol": "UDP"}]},
    ]
    entry = parse_objects(
        [egress({"toEndpoints": [{"matchLabels": {"app": "api"}}], "toPorts": ports})]
    ).entries[0]
    assert map_entries(entry, 40) == 40 * (3 + 16 + 1)
    anyone = parse_objects([egress({"toPorts": ports})]).entries[0]
    assert map_entries(anyone, 40) == 20


def test_a_costly_and_over_broad_rule_is_found() -> None:
    """One selector over many identities and a wide range fills the map and opens what nobody used."""
    wide = {
        "toEndpoints": [{}],
        "toPorts": [{"ports": [{"port": "1", "endPort": 65534, "protocol": "ANY"}]}],
    }
    policies = parse_objects([egress(wide)], config=CONFIG)
    others = [
        Side((f"k8s:app=a{n}", "k8s:io.kubernetes.pod.namespace=shop"), named_ports=()) for n in range(200)
    ]
    breadth = Breadth(policies, [WEB, *others], CONFIG)
    costs = breadth.costs()
    assert [(f.kind.value, f.count) for f in costs] == [("costly", 201 * 30 * 3)]
    seen = EdgeTable.of_flows([PolicyFlow(Direction.EGRESS, WEB, others[0], "TCP", 80)])
    answers = CompiledPolicies(policies, CONFIG).evaluate(seen)
    broad = breadth.over_broad(seen, answers.entry)
    assert [(f.kind.value, f.rule.path) for f in broad] == [("over-broad", "egress[0]")]
    assert "opens 201 of the peers that were seen, 1 of which used it" in broad[0].because


def test_a_list_of_prefixes_costs_an_entry_for_each_whatever_was_seen() -> None:
    """An agent makes an identity of every named prefix; a rule selects those within, and not in its holes."""
    named = {"toCIDR": [f"203.0.{n}.0/24" for n in range(100)], "toPorts": [port("443")]}
    wide = {
        "toCIDRSet": [{"cidr": "203.0.0.0/16", "except": ["203.0.64.0/18"]}, {"cidr": "2001:db8::/32"}],
        "toPorts": [port("80")],
    }
    seen = Side((), "203.0.1.9")
    costs = Breadth(parse_objects([egress(named, wide)], config=CONFIG), [WEB, seen], CONFIG).by_subject()
    within = 1 + 1 + 64  # itself, the other family, and what was named outside of the hole
    assert [(one.entries, one.rule.path, one.most) for one in costs] == [(100 + within, "egress[0]", 100)]


def test_a_list_of_names_costs_an_entry_for_each() -> None:
    """Whatever address is learned for a name has an identity of that name."""
    names = [{"matchName": f"api{n}.example.com"} for n in range(50)] + [{"matchPattern": "*.example.net"}]
    policies = parse_objects([egress({"toFQDNs": names, "toPorts": [port("443")]})], config=CONFIG)
    assert [one.entries for one in Breadth(policies, [WEB], CONFIG).by_subject()] == [51]


def test_a_diff_lists_edges_not_lines() -> None:
    """A rewritten but equal policy changes nothing; a dropped port changes its edges."""
    one = egress({"toEndpoints": [{"matchLabels": {"app": "api"}}], "toPorts": [port("80"), port("443")]})
    same = egress(
        {"toEndpoints": [{"matchLabels": {"app": "api"}}], "toPorts": [port("443")]},
        {"toEndpoints": [{"matchLabels": {"app": "api"}}], "toPorts": [port("80")]},
    )
    less = egress({"toEndpoints": [{"matchLabels": {"app": "api"}}], "toPorts": [port("80")]})
    before, equal, after = (parse_objects([p], config=CONFIG) for p in (one, same, less))
    table = EdgeTable.of_flows(probe_flows(before, after, 1000)[0])
    assert compare_policies(before, equal, table, CONFIG).changes == ()
    changes = compare_policies(before, after, table, CONFIG).to(Verdict.DENY)
    assert {int(table.port[change.edge]) for change in changes} == {443}
    assert {change.after_entry for change in changes} == {-1}
    flow = PolicyFlow(Direction.EGRESS, WEB, API, "TCP", 443)
    seen = EdgeTable.of_flows([flow])
    assert [c.before for c in compare_policies(before, after, seen, CONFIG).changes] == [Verdict.ALLOW]


@settings(max_examples=40, deadline=None)
@given(policy_objects(2), policy_objects(2))
def test_probes_do_not_depend_on_the_order_of_sets(first, second) -> None:
    """Probes are a set of borders, always listed the same way; what is beyond the limit is counted."""
    one, two = parse_objects(first), parse_objects(second)
    flows, left_out = probe_flows(one, two, 10_000)
    assert (flows, left_out) == probe_flows(two, one, 10_000)
    assert probe_flows(one, two, 3) == (flows[:3], max(0, len(flows) + left_out - 3))


def test_the_same_set_in_any_form_has_no_diff() -> None:
    """A policy compared with itself, or with its rules in another object, has nothing to probe."""
    policies = parse_objects([cnp(ingress=[{"fromEntities": ["cluster"]}])])
    assert probe_flows(policies, policies, 1000) == ([], 0)
    table = EdgeTable.of_flows(probe_flows(policies, parse_objects([]), 1000)[0])
    assert len(table) > 0
    assert compare_policies(policies, policies, table).changes == ()


@settings(max_examples=40, deadline=None)
@given(policy_objects(4), st.lists(flows(), min_size=1, max_size=6))
def test_the_subject_index_finds_what_asking_every_rule_finds(objects, asked) -> None:
    """In the same order, for every end of every flow; an unknown identity is selected by none."""
    entries = parse_objects(objects, config=CONFIG, inventory_complete=True).entries
    index = SubjectIndex(entries)
    for flow in asked:
        for direction in Direction:
            subject = resolve(flow.subject(direction), CONFIG)
            mine = [e for e in entries if e.direction is direction and selects_subject(e, subject)]
            assert index.selecting(subject, direction) == mine
