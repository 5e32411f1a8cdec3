"""Lists of HTTP requests: only where asked for and where nearly all was seen, never what only failed."""

import pytest
import re2

from jobs.propose import propose
from models.domain.capabilities import CapabilityHints
from models.domain.proposal_json import proposal_from_json, proposal_to_json
from models.manifest.render import cilium_manifest, manifest_yaml
from models.manifest.render_kubernetes import cannot_say
from models.manifest.validate import problems
from tests.unit.synthesis.world import World, proposal_for, shuffled, spec

LISTS = CapabilityHints(fqdn=True, l7=True, cilium_version="1.18")


def shop(*requests, port=8080, **changes):
    """A web that sends its api some requests every day."""
    world = World()
    web, api = world.pod("shop", "web"), world.pod("shop", "api")
    world.edge(web, api, port)
    for request in requests:
        world.http(web, api, request, port, **changes)
    return world, web, api


def listed(result, name="api"):
    """Elements of every HTTP list at the ingress of a workload."""
    return [
        (one["method"], one.get("path"))
        for entry in spec(result, name)["ingress"]
        for ports in entry["toPorts"]
        for one in ports.get("rules", {}).get("http", ())
    ]


def rule(result, name="api"):
    """The one ingress rule of a workload."""
    (found,) = [one for one in proposal_for(result, name).rules if one.direction == "ingress"]
    return found


def admits(result, method, target):
    """Whether the api's list lets a request pass."""
    return any(
        re2.fullmatch(wanted, method) and (path is None or re2.fullmatch(path, target))
        for wanted, path in listed(result)
    )


def test_a_list_is_written_only_where_it_is_asked_for():
    """Without the setting the same traffic gets a port, and nothing looks at its requests."""
    world, _, _ = shop("GET /orders", "POST /orders")
    unasked = propose(world.observations())
    assert listed(unasked) == []
    assert "l7_not_asked" in {one.code for one in proposal_for(unasked, "api").assumptions}
    result = propose(world.observations(), capabilities=LISTS)
    assert listed(result) == [("GET", r"^/orders(\?.*)?$"), ("POST", r"^/orders(\?.*)?$")]
    assert "l7_not_asked" not in {one.code for one in proposal_for(result, "api").assumptions}
    assert {"http", "needs_review"} <= set(rule(result).flags)
    for manifest in result.manifests.values():
        assert problems(manifest, cilium_version="1.18") == []


def test_the_list_stands_at_the_server_alone():
    """Two gates for one request would make a proxy work twice."""
    world, _, _ = shop("GET /orders")
    entries = spec(propose(world.observations(), capabilities=LISTS), "web")["egress"]
    assert all("rules" not in ports for entry in entries for ports in entry["toPorts"])


def test_a_server_outside_has_its_list_at_the_client():
    """There is no other gate."""
    world = World()
    web = world.pod("shop", "web")
    world.to(web, "ip", "52.1.2.3", 80, names="api.example.org")
    world.half_http(web, "egress", "ip", "52.1.2.3", "GET /rates", 80)
    result = propose(world.observations(), capabilities=LISTS)
    (found,) = [one.http for one in proposal_for(result, "web").rules if one.http]
    assert [one.text for one in found] == [r"GET ^/rates(\?.*)?$"]


def test_each_client_gets_the_requests_it_was_seen_to_send():
    """Whoever scrapes the metrics may not place orders; clients of one list share an entry."""
    world, _, api = shop("GET /orders")
    for name, request in (("app", "GET /orders"), ("scraper", "GET /metrics")):
        client = world.pod("shop", name)
        world.edge(client, api)
        world.http(client, api, request)
    result = propose(world.observations(), capabilities=LISTS)
    lists = {
        tuple(sorted(peer["matchLabels"]["app"] for peer in entry["fromEndpoints"])): [
            one["path"] for one in entry["toPorts"][0]["rules"]["http"]
        ]
        for entry in spec(result, "api")["ingress"]
    }
    assert lists == {("app", "web"): [r"^/orders(\?.*)?$"], ("scraper",): [r"^/metrics(\?.*)?$"]}


def test_trap_H1_responses_confirm_and_make_no_rule():
    """Both records of one exchange are one request."""
    world, _, _ = shop("GET /orders")
    (template,) = rule(propose(world.observations(), capabilities=LISTS)).http
    assert (template.days_seen, template.requests) == (14, 140)


def test_trap_H2_identifiers_become_one_template_that_is_recorded_as_widening():
    """Twenty orders are one line, with what it opens."""
    world, web, api = shop()
    for number in range(28):
        world.http(web, api, f"GET /orders/{1000 + 7 * number}", days=[number // 2])
    result = propose(world.observations(), capabilities=LISTS)
    assert listed(result) == [("GET", r"^/orders/[0-9]+(\?.*)?$")]
    (record,) = [one for one in rule(result).widening if one.kind == "route"]
    assert "generalised" in rule(result).flags
    assert (record.covers, record.openings) == (28, 0.5)
    assert record.change < 0


TENANTS = [
    "anna",
    "bert",
    "carl",
    "dora",
    "emil",
    "fritz",
    "gerd",
    "hans",
    "ina",
    "jon",
    "kim",
    "leo",
    "max",
    "nora",
]


def tenants(*others):
    """Fourteen tenants, one of whom has the cache deleted each day, and what else was asked once."""
    world, web, api = shop()
    for day, name in enumerate(TENANTS):
        world.http(web, api, f"DELETE /tenants/{name}/cache", days=[day])
    for request in others:
        world.http(web, api, request, days=[5])
    return propose(world.observations(), capabilities=LISTS)


def test_what_was_asked_of_one_tenant_is_admitted_for_that_tenant_alone():
    """Nobody else's data is deleted because a sandbox's was."""
    result = tenants("DELETE /tenants/sandbox/data")
    assert admits(result, "DELETE", "/tenants/sandbox/data")
    assert admits(result, "DELETE", "/tenants/olga/cache")
    assert not admits(result, "DELETE", "/tenants/anna/data")
    assert [one.covers for one in rule(result).widening] == [14]


def test_what_was_asked_of_two_tenants_is_admitted_for_every_tenant():
    """And recorded."""
    result = tenants("DELETE /tenants/sandbox/data", "DELETE /tenants/nora/data")
    assert admits(result, "DELETE", "/tenants/anna/data")
    assert sorted(one.covers for one in rule(result).widening) == [2, 14]


def test_every_template_that_admits_more_than_was_seen_is_recorded():
    """One sighting below an identifier, and what ingest took out, open as much as many sightings."""
    world, web, api = shop("GET /reset/REDACTED", "GET /orders")
    for number in range(28):
        world.http(web, api, f"GET /orders/{1000 + 7 * number}", days=[number // 2])
    world.http(web, api, "GET /orders/1007/invoice", days=[5])
    result = propose(world.observations(), capabilities=LISTS)
    assert admits(result, "GET", "/orders/2000/invoice")
    recorded = {one.what: one.covers for one in rule(result).widening}
    exact = r"GET ^/orders(\?.*)?$"
    assert {one.text: one.routes for one in rule(result).http if one.text != exact} == recorded
    assert sorted(recorded.values()) == [1, 1, 28]


def test_trap_H3_too_many_templates_leave_only_the_method():
    """And it is said."""
    world, _, _ = shop(*(f"GET /{name}/list" for name in "abcdefghijklmnopqrstuvw"), "POST /orders")
    result = propose(world.observations(), capabilities=LISTS)
    assert listed(result) == [("GET", None), ("POST", r"^/orders(\?.*)?$")]
    assert any("GET would need 23 paths" in reason for reason in rule(result).reasons)


def test_trap_H4_any_query_passes_and_nothing_of_it_is_stored():
    """Envoy matches the target with its query; the store has the path only."""
    world, _, _ = shop("GET /orders", "GET /a%20b", "GET /Orders")
    result = propose(world.observations(), capabilities=LISTS)
    assert admits(result, "GET", "/orders?page=2&token=x")
    assert admits(result, "GET", "/a%20b")
    assert not admits(result, "GET", "/ORDERS")
    assert not admits(result, "GET", "/orders/17")


def test_trap_H5_a_redacted_secret_is_a_segment_and_no_more():
    """What ingest took out may be any segment, and never a slash in any spelling."""
    world, _, _ = shop("GET /reset/REDACTED/form")
    result = propose(world.observations(), capabilities=LISTS)
    assert admits(result, "GET", "/reset/0f9c-44/form")
    for target in ("/reset/../form", "/reset/a%2fb/form", "/reset/a/b/form", "/reset//form"):
        assert not admits(result, "GET", target), target


def test_trap_H6_what_only_failed_is_left_out_and_named():
    """A scanner's 404 is no evidence, whoever sends it."""
    world, web, api = shop("GET /orders")
    world.http(web, api, "GET /.env", failed=10)
    world.http(web, api, "GET /admin", flows=0, l7_denied=4, answered=0)
    result = propose(world.observations(), capabilities=LISTS)
    assert listed(result) == [("GET", r"^/orders(\?.*)?$")]
    assert any("GET /.env, GET /admin" in reason for reason in rule(result).reasons)


def test_requests_count_where_no_response_was_recorded():
    """A source without responses cannot say what failed."""
    world, _, _ = shop("GET /orders", answered=0)
    assert admits(propose(world.observations(), capabilities=LISTS), "GET", "/orders")


def test_trap_H8_H9_partly_seen_traffic_gets_no_list():
    """Half of the hours, or a peer with pods that no proxy looks at: the rest would get 403."""
    world, _, _ = shop("GET /orders", days=range(7))
    result = propose(world.observations(), capabilities=LISTS)
    assert (listed(result), rule(result).http) == ([], ())
    assert any("in 21 of 42 hours only" in reason for reason in rule(result).reasons)
    world, _, api = shop("GET /orders")
    unseen = world.pod("shop", "web", {"app": "web", "track": "canary"})
    world.edge(unseen, api, days=[13])
    result = propose(world.observations(), capabilities=LISTS)
    assert all(not one.http for one in proposal_for(result, "api").rules)


def test_trap_H10_methods_of_grpc_are_kept_however_many():
    """They are an interface and no identifiers."""
    calls = [f"POST /shop.v1.Cart/Call{number}" for number in range(30)]
    world, _, _ = shop(*calls)
    result = propose(world.observations(), capabilities=LISTS)
    assert len(listed(result)) == 30
    assert not admits(result, "POST", "/shop.v1.Cart/Drop")


def test_trap_H11_preflight_is_a_request_like_any_other():
    """What was seen passes."""
    world, _, _ = shop("GET /orders", "OPTIONS /orders")
    assert admits(propose(world.observations(), capabilities=LISTS), "OPTIONS", "/orders")


@pytest.mark.parametrize(
    "request_", ["GET /static/../../etc/passwd", "GET /a/%2e%2E/b", "G.* /orders", "GET relative", "GET /a b"]
)
def test_hostile_requests_are_in_no_list_and_the_replay_says_so(request_):
    """Nobody widens a list by sending what it cannot hold; the reviewer sees what will be refused."""
    world, web, api = shop("GET /orders")
    world.http(web, api, request_)
    result = propose(world.observations(), capabilities=LISTS)
    assert listed(result) == [("GET", r"^/orders(\?.*)?$")]
    assert "http_incomplete" in rule(result).flags
    tested = proposal_for(result, "api").backtest
    assert (tested.requests, tested.requests_refused) == (2, 1)
    (denial,) = tested.denied
    assert (denial.reason, request_ in denial.port) == ("http_unwritable", True)
    assert tested.denied_legitimate == 0


def test_templates_admit_no_climbing_and_no_encoded_slash():
    """A class stands for a name, never for a way out of its folder."""
    world, web, api = shop()
    for number, name in enumerate("abcdefghijklmnopqrstuvwxyz"):
        world.http(web, api, f"GET /files/{name}-x.txt", days=[number // 2])
    result = propose(world.observations(), capabilities=LISTS)
    assert admits(result, "GET", "/files/new-one.txt")
    for target in ("/files/..", "/files/..%2f..%2fetc", "/files/%2e%2e", "/files/a/b", "/files/.env"):
        assert not admits(result, "GET", target), target


def test_the_replay_admits_every_request_that_a_list_came_from():
    """The rendered list is read back and asked."""
    world, _, _ = shop("GET /orders", "POST /orders", "GET /reset/REDACTED")
    tested = proposal_for(propose(world.observations(), capabilities=LISTS), "api").backtest
    assert (tested.requests, tested.requests_undecided, tested.requests_refused) == (3, 1, 0)


def test_a_family_has_one_list_for_all_its_members():
    """Tomorrow's tenant sends what today's send; a member that no proxy saw takes the list away."""
    for inspected in (3, 2):
        world = World()
        store = world.pod("platform", "store")
        for number in range(3):
            api = world.pod(f"tenant-{number}", "api", {"app": "saas-api"})
            world.edge(world.pod(f"tenant-{number}", "web", {"app": "saas-web"}), api)
            world.edge(api, store)
            if number < inspected:
                world.http(api, store, f"GET /tables/{number}")
        found = rule(propose(world.observations(), capabilities=LISTS), "store")
        assert found.peer.namespace == "*"
        assert len(found.http) == (3 if inspected == 3 else 0)


def test_shadow_manifests_and_network_policies_have_no_lists():
    """Neither could refuse by them, and both say so."""
    world, _, _ = shop("GET /orders")
    proposal = proposal_for(propose(world.observations(), capabilities=LISTS), "api")
    shadow = cilium_manifest(proposal, mode="shadow", cilium_version="1.18")
    assert "rules" not in shadow["spec"]["ingress"][0]["toPorts"][0]
    assert "lists of HTTP requests are left out" in manifest_yaml(
        proposal, mode="shadow", cilium_version="1.18"
    )
    assert any("HTTP methods and paths are not checked" in text for text in cannot_say(proposal))


def test_a_list_belongs_to_the_meaning_and_its_counts_do_not():
    """A new path makes a new version; another day of the same ones makes none."""
    world, web, api = shop("GET /orders")
    before = proposal_for(propose(world.observations(), capabilities=LISTS), "api")
    world.http(web, api, "GET /orders", flows=3)
    again = proposal_for(propose(world.observations(), capabilities=LISTS), "api")
    world.http(web, api, "GET /stock")
    after = proposal_for(propose(world.observations(), capabilities=LISTS), "api")
    assert again.fingerprint == before.fingerprint != after.fingerprint
    assert {one.id for one in before.rules} == {one.id for one in after.rules}
    assert proposal_from_json(proposal_to_json(after)) == after


def test_lists_do_not_depend_on_the_order_of_rows():
    """Byte for byte."""
    world, web, api = shop("GET /orders", "POST /orders", "GET /a")
    for number in range(28):
        world.http(web, api, f"GET /orders/{number}", days=[number // 2])
    one = propose(world.observations(), capabilities=LISTS)
    for seed in range(3):
        other = propose(shuffled(world.observations(), seed), capabilities=LISTS)
        assert other.to_json() == one.to_json()
