"""What changes between two policy sets: for what was seen, and beside it."""

from models.manifest.parse import parse_objects
from models.simulation.comparison import compare_seen, compare_unseen
from models.simulation.seen import SeenWindow
from tests.unit.simulation.test_backtest import FROM_WEB, asked, cnp, shop
from tests.unit.simulation.test_unknown import CONFIG
from tests.unit.synthesis.world import World, shuffled

OPEN = {"fromEntities": ["cluster"]}


def compared(observations, before, after):
    """The comparison of two sets of objects over a window."""
    seen = SeenWindow(observations)
    return compare_seen(*(seen, *(parse_objects(one, config=seen.config) for one in (before, after))))


def lines(found):
    """What a reader looks at first."""
    return [(one.workload, one.peer, one.port, one.legitimacy, one.before, one.after) for one in found.lines]


def test_what_a_change_breaks_comes_first_with_its_rules_and_days():
    """A policy that forgets a client denies it; the scanner it shuts out is told apart."""
    before, after = [cnp("shop", ingress=[OPEN])], [cnp("shop", ingress=[FROM_WEB])]
    found = compared(shop(), before, after)
    assert lines(found) == [
        ("api", "job in shop", "TCP/8080", "legitimate", "allow", "deny"),
        ("api", "scan in lab", "TCP/31337", "unanswered", "allow", "deny"),
    ]
    first = found.lines[0]
    assert first.rule_before == "CiliumNetworkPolicy/shop/one ingress[0]"
    assert (first.rule_after, first.days) == ("", (("2026-03-04", 5), ("2026-03-10", 5)))
    assert found.breaks == 1
    told = found.to_json()
    assert (told["newly_denied"], told["newly_denied_legitimate"], told["newly_allowed"]) == (2, 1, 0)


def test_the_way_back_is_newly_allowed():
    """The same change reversed allows the same lines and breaks nothing."""
    before, after = [cnp("shop", ingress=[OPEN])], [cnp("shop", ingress=[FROM_WEB])]
    found = compared(shop(), after, before)
    assert {(one.before, one.after) for one in found.lines} == {("deny", "allow")}
    assert found.breaks == 0


def test_a_policy_in_another_order_or_file_changes_nothing():
    """Meaning counts, not lines: neither seen nor unseen traffic is treated differently."""
    split = [
        cnp("shop", ingress=[FROM_WEB]),
        cnp("shop", ingress=[OPEN]) | {"metadata": {"name": "two", "namespace": "shop"}},
    ]
    found = compared(shop(), [cnp("shop", ingress=[FROM_WEB, OPEN])], split)
    assert (found.changed, found.lines, found.unseen) == (0, (), ())
    assert found.compared > 0


def test_what_nothing_touched_is_found_from_the_rules():
    """A port opened, and a default deny lifted, show without any traffic."""
    wide = FROM_WEB | {"toPorts": [{"ports": [{"port": "8080", "endPort": 8090, "protocol": "TCP"}]}]}
    before, after = (parse_objects([cnp("shop", ingress=[one])], config=CONFIG) for one in (FROM_WEB, wide))
    found, left_out = compare_unseen(before, after, CONFIG)
    assert [(one.peer, one.port, one.before, one.after) for one in found] == [
        ("app=web in shop", "TCP/8081, TCP/8090", "deny", "allow")
    ]
    assert left_out == 0
    nothing, _ = compare_unseen(before, parse_objects([], config=CONFIG), CONFIG)
    assert {(one.before, one.after) for one in nothing} == {("deny", "allow")}
    assert "world" in {one.peer for one in nothing}


def test_a_rule_that_starts_to_read_requests_shows_the_requests():
    """The edge stays allowed; the requests that the new rule refuses are lines of their own."""
    world = World()
    api, web = world.pod("shop", "api"), world.pod("shop", "web")
    world.edge(web, api, 8080)
    asked(world, web, api, 8080, "http", ("GET", "/orders", 7), ("POST", "/admin", 3))
    ports = [{"ports": [{"port": "8080", "protocol": "TCP"}], "rules": {"http": [{"method": "GET"}]}}]
    read = cnp("shop", ingress=[FROM_WEB | {"toPorts": ports}])
    found = compared(world.observations(), [cnp("shop", ingress=[FROM_WEB])], [read])
    assert [(one.request, one.flows, one.after) for one in found.lines] == [("POST /admin", 3, "deny")]
    assert found.breaks == 1


def test_the_order_of_rows_and_objects_changes_nothing():
    """Same input in any order, same answer."""
    two = cnp("shop", egress=[{"toEntities": ["world"]}]) | {"metadata": {"name": "two", "namespace": "shop"}}
    before, after = [cnp("shop", ingress=[FROM_WEB]), two], [cnp("shop", ingress=[OPEN])]
    assert compared(shop(), before, after) == compared(shuffled(shop(), 3), before[::-1], after)
