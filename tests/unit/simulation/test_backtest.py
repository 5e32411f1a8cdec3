"""Back-tests: what a policy set would have denied of the traffic that was seen, and when."""

from dataclasses import replace
from datetime import timedelta

import pandas as pd
from hypothesis import given, settings

from jobs.backtest import backtest_learning, backtest_window
from jobs.propose import propose
from models.domain.proposal_json import proposal_from_json, proposal_to_json
from models.domain.window import Window, splits
from models.manifest.parse import parse_objects
from models.simulation.backtest import backtest
from models.simulation.observed import ObservedFlows, agent_config, judge_edges
from models.simulation.rolling import part_of, rolling_origin
from models.simulation.verdict import evaluate
from models.synthesis.draft import draft
from tests.strategies import worlds
from tests.unit.synthesis.world import START, World, shuffled


def cnp(namespace, **spec):
    """A policy for one workload."""
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "one", "namespace": namespace},
        "spec": {"endpointSelector": {"matchLabels": {"app": "api"}}, **spec},
    }


def shop(days=14):
    """Two clients of one server; the second one calls on two days only, and a scanner is never answered."""
    world = World(days=days)
    api, web = world.pod("shop", "api"), world.pod("shop", "web")
    job, scan = world.pod("shop", "job"), world.pod("lab", "scan")
    world.edge(web, api, 8080)
    world.edge(job, api, 8080, days=[3, 9], flows=5)
    world.edge(scan, api, 31337, answered=0, days=[6])
    return world.observations()


FROM_WEB = {
    "fromEndpoints": [{"matchLabels": {"app": "web"}}],
    "toPorts": [{"ports": [{"port": "8080", "protocol": "TCP"}]}],
}


def test_a_hand_written_policy_is_told_what_it_would_deny_and_when():
    """By workload, peer, legitimacy and day, with the flows; counts are of edge-days."""
    found = backtest(shop(), parse_objects([cnp("shop", ingress=[FROM_WEB])]))
    told = [(one.workload, one.peer, one.port, one.legitimacy, one.days) for one in found.lines]
    assert [(w, p, port, kind) for w, p, port, kind, _ in told] == [
        ("api", "job in shop", "TCP/8080", "legitimate"),
        ("api", "scan in lab", "TCP/31337", "unanswered"),
    ]
    assert [(day.day, day.flows) for day in found.lines[0].days] == [("2026-03-04", 5), ("2026-03-10", 5)]
    # Every edge is seen at both ends: fourteen, two and one day, twice.
    assert (found.checked, found.denied, found.denied_legitimate, found.undecided) == (34, 3, 2, 0)
    assert found.admitted == 31


def test_a_deny_rule_is_named():
    """What an explicit deny stops says which rule, unlike the default deny."""
    denying = cnp("shop", ingressDeny=[FROM_WEB], ingress=[{"fromEntities": ["all"]}])
    found = backtest(shop(), parse_objects([denying]))
    assert [one.rule for one in found.lines] == ["CiliumNetworkPolicy/shop/one ingressDeny[0]"]
    assert found.denied_legitimate == 14


def test_a_peer_that_the_records_do_not_identify_is_not_decided():
    """An address before translation is neither inside nor outside: unknown, never a false alarm."""
    world = World()
    api = world.pod("shop", "api")
    world.to(api, "service", "shop/db", 5432)
    world.to(api, "unresolved", "10.0.0.9", 5432)
    to_world = parse_objects([cnp("shop", egress=[{"toEntities": ["world"]}])])
    found = backtest(world.observations(), to_world)
    assert (found.denied, found.undecided, found.admitted) == (0, 28, 0)
    assert {line.verdict for line in found.lines} == {"unknown"}


def test_what_was_proposed_denies_nothing_of_its_own_window():
    """The promise: nothing that was seen working breaks."""
    observations = shop()
    policies = parse_objects(list(propose(observations).manifests.values()))
    assert backtest(observations, policies).denied_legitimate == 0


def test_every_day_has_its_counts_and_they_add_up():
    """The totals are the sums of the days."""
    found = backtest(shop(), parse_objects([cnp("shop", ingress=[FROM_WEB])]))
    assert [(one.day, one.denied, one.denied_legitimate) for one in found.days if one.denied] == [
        ("2026-03-04", 1, 1),
        ("2026-03-07", 1, 0),
        ("2026-03-10", 1, 1),
    ]
    assert len(found.days) == 14
    assert sum(one.checked for one in found.days) == found.checked
    told = found.to_json(limit=1)
    assert (len(told["lines"]), told["lines_in_all"]) == (1, 2)


def asked(world, client, server, port, kind, *requests):
    """Requests that a proxy saw between two workloads, at both ends."""
    protocol = "UDP" if kind == "dns" else "TCP"
    for subject, direction, peer in ((client, "egress", server), (server, "ingress", client)):
        world.routes += [
            {
                "cluster": world.cluster,
                "subject": subject.key,
                "direction": direction,
                "peer_kind": "endpoint",
                "peer": peer.key,
                "protocol": protocol,
                "port": port,
                "l7_kind": kind,
                "l7_method": method,
                "l7_route": route,
                "flows": flows,
                "l7_denied": 0,
                "days": 2,
            }
            for method, route, flows in requests
        ]


def test_requests_are_replayed_where_the_policies_read_them():
    """Methods and paths against HTTP rules; a path whose secret was taken out is not decided."""
    world = World()
    api, web = world.pod("shop", "api"), world.pod("shop", "web")
    world.edge(web, api, 8080)
    requests = (("GET", "/orders", 7), ("DELETE", "/orders", 3), ("GET", "/reset/REDACTED", 2))
    asked(world, web, api, 8080, "http", *requests)
    http = {"rules": {"http": [{"method": "GET", "path": "/orders"}]}}
    ports = [{"ports": [{"port": "8080", "protocol": "TCP"}], **http}]
    read = parse_objects([cnp("shop", ingress=[FROM_WEB | {"toPorts": ports}])])
    found = backtest(world.observations(), read)
    assert (found.denied, found.requests, found.requests_denied, found.requests_undecided) == (0, 3, 1, 1)
    assert found.requests_denied_legitimate == 1
    assert found.breaks
    assert [(one.verdict, one.request, one.flows, one.day_count) for one in found.lines] == [
        ("deny", "DELETE /orders", 3, 2),
        ("unknown", "GET /reset/REDACTED", 2, 2),
    ]
    assert found.lines[0].rule.endswith("ingress[0].toPorts[0]")
    plain = backtest(world.observations(), parse_objects([cnp("shop", ingress=[FROM_WEB])]))
    assert (plain.requests, plain.lines) == (0, ())


def test_names_that_a_dns_rule_refuses_are_listed():
    """The name asked, with how often; the resolver itself stays reachable."""
    world = World()
    api, dns = world.pod("shop", "api"), world.kube_dns()
    world.edge(api, dns, 53, "UDP")
    asked(world, api, dns, 53, "dns", ("A", "api.psp.example", 9), ("A", "evil.example", 1))
    rule = {
        "toEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": "kube-system"}}],
        "toPorts": [
            {
                "ports": [{"port": "53", "protocol": "ANY"}],
                "rules": {"dns": [{"matchPattern": "*.psp.example"}]},
            }
        ],
    }
    found = backtest(world.observations(), parse_objects([cnp("shop", egress=[rule])]))
    assert [(one.request, one.flows) for one in found.lines] == [("DNS evil.example", 1)]
    assert (found.denied, found.requests, found.requests_denied) == (0, 2, 1)


def test_a_proposal_keeps_its_denials_by_day():
    """What the stored replay denies says when, how often and why; unanswered scans are not asked."""
    world = World(days=14)
    api, web = world.pod("shop", "api"), world.pod("shop", "web")
    world.edge(web, api, 8080)
    world.edge(web, api, 0, days=[2, 5], flows=4)  # without a port no rule can be written
    found = propose(world.observations()).proposals
    backtests = {one.name: one.backtest for one in found}
    denied = [denial for one in backtests.values() for denial in one.denied]
    assert {denial.reason for denial in denied} <= {"no_port", "direction_open"}
    assert denied
    assert denied[0].days == (("2026-03-03", 1), ("2026-03-06", 1))
    assert (denied[0].edge_days, denied[0].flows, denied[0].legitimacy) == (2, 8, "legitimate")
    total = next(one for one in backtests.values() if one.denied)
    assert total.denied_edge_days == sum(count for _, count in total.days) == 2
    assert (total.denied_in_all, total.denied_legitimate) == (1, 2)
    again = [proposal_from_json(proposal_to_json(one)).backtest for one in found]
    assert again == [one.backtest for one in found]


def test_the_order_of_rows_changes_nothing():
    """Same observations, same answer."""
    policies = parse_objects([cnp("shop", ingress=[FROM_WEB])])
    assert backtest(shuffled(shop(), 5), policies) == backtest(shop(), policies)


@settings(max_examples=15, deadline=None)
@given(worlds())
def test_property_the_fast_replay_says_what_the_reference_says(world):
    """Edge by edge, for the policies proposed and for a set that closes everything."""
    observations = world.observations()
    made = draft(observations)
    config, flows = agent_config(made.view), ObservedFlows(made.view)
    closed = cnp("shop", ingress=[{}], egress=[{}]) | {"metadata": {"name": "all", "namespace": "shop"}}
    for manifests in (list(propose(observations).manifests.values()), [closed]):
        policies = parse_objects(manifests, config=config)
        questions = [flows.question(edge) for edge in made.table.edges]
        expected = [evaluate(policies, question, config).l4 for question in questions]
        assert [verdict for verdict, _ in judge_edges(questions, policies, config)] == expected


class Days:
    """A store of one world: the observations of a part of it."""

    def __init__(self, whole):
        self.whole = whole
        self.asked = []

    def observations(self, cluster, window):
        assert cluster == "prod"
        self.asked.append(window)
        first, last = (moment.strftime("%Y-%m-%d") for moment in (window.start, window.end))

        def part(frame: pd.DataFrame) -> pd.DataFrame:
            return frame[(frame["day"] >= first) & (frame["day"] < last)]

        whole = self.whole
        return replace(whole, window=window, edge_days=part(whole.edge_days), coverage=part(whole.coverage))


def test_a_rolling_origin_learns_on_the_past_and_tests_on_the_future():
    """A workload that starts to call after the origin is denied then; one that was learned is not."""
    world = World(days=28)
    api, web, late = world.pod("shop", "api"), world.pod("shop", "web"), world.pod("shop", "late")
    world.edge(web, api, 8080)
    world.edge(late, api, 8080, days=range(16, 28))
    store = Days(world.observations())
    tests = backtest_learning(
        store, cluster="prod", as_of=START + timedelta(days=28, hours=5), length=timedelta(days=28)
    )
    day = timedelta(days=1)
    assert [test.split.tested for test in tests] == [
        Window(START + 14 * day, START + 21 * day),
        Window(START + 21 * day, START + 28 * day),
    ]
    assert [test.split.learned.end for test in tests] == [test.split.tested.start for test in tests]
    first, second = (test.backtest for test in tests)
    assert {line.peer for line in first.lines if line.direction == "ingress"} == {"late in shop"}
    assert first.denied_legitimate >= 5
    assert second.denied_legitimate == 0


def test_parts_of_frames_in_memory_are_cut_at_midnight():
    """The quick way gives what reading the store again gives, where nothing later helps to read."""
    world = World(days=28)
    api, web, late = world.pod("shop", "api"), world.pod("shop", "web"), world.pod("shop", "late")
    world.edge(web, api, 8080)
    world.edge(late, api, 8080, days=range(16, 28))
    whole = world.observations()
    parts = splits(whole.window, 7)
    assert [part.tested.start for part in parts] == [START + timedelta(days=day) for day in (14, 21)]

    def learn(observations):
        return parse_objects(list(propose(observations).manifests.values()))

    found = rolling_origin(lambda window: part_of(whole, window), learn, parts)
    store = Days(whole)
    read = rolling_origin(lambda window: store.observations("prod", window), learn, parts)
    assert [one.backtest for one in found] == [one.backtest for one in read]
    assert [one.policy_count > 0 for one in found] == [True, True]
    told = found[0].to_json()
    assert told["tested"]["start"] == "2026-03-15T00:00:00+00:00"
    assert next(day["day"] for day in told["days"]) == "2026-03-15"
    assert sum(day["denied_legitimate"] for day in told["days"]) == found[0].backtest.denied_legitimate > 0


def test_a_window_too_short_to_hold_days_out_gives_no_test():
    """No number rather than a meaningless one."""
    store = Days(shop())
    assert backtest_learning(store, cluster="prod", as_of=START, length=timedelta(days=14)) == ()


def test_any_window_can_be_replayed():
    """Only the days asked for count."""
    store = Days(shop())
    policies = parse_objects([cnp("shop", ingress=[FROM_WEB])])
    as_of, length = START + timedelta(days=7), timedelta(days=3)
    found = backtest_window(store, policies, cluster="prod", as_of=as_of, length=length)
    assert [line.legitimacy for line in found.lines] == ["unanswered"]
