"""What is held back: with its evidence, at both ends, for a person to decide."""

from dataclasses import replace

import pandas as pd
import pytest

from jobs.propose import propose
from models.domain.capabilities import CapabilityHints
from models.domain.peer import FqdnPeer
from models.domain.quarantine import quarantined_from_json
from models.frames import LOOKUPS
from models.synthesis.draft import draft
from models.synthesis.leftovers import LET_IN
from models.synthesis.memory import Memory
from models.synthesis.screened import Screened
from tests.unit.synthesis.world import Pods, World

HINTS = CapabilityHints(fqdn=True)


@pytest.fixture
def world():
    """Two teams, one of them with a workload of several replicas."""
    return World()


def calling_home(world, days):
    """A web tier that calls its API every day, and one of whose replicas calls home on some."""
    web = world.pod(
        "shop", "web", pod_names=[f"web-7d9c5f8b4-{suffix}" for suffix in ("aaaaa", "bbbbb", "ccccc")]
    )
    api = world.pod("shop", "api")
    world.edge(web, api, subject_pods=3)
    dns = world.kube_dns()
    world.dns(web, dns)
    world.to(
        web, "ip", "203.0.113.9", 443, names="cdn.example.net", days=days, subject_pods=1,
        hour_bits=0xFFFFF, flows=200, samples="u-1",
    )  # fmt: skip
    return world.observations()


@pytest.fixture
def made(world):
    """A call home that began in the window."""
    return calling_home(world, range(5, 14))


def beacon(found):
    """The entry of the call home."""
    return next(one for one in found.quarantine if "cdn.example.net" in one.title)


def test_trap_J6_a_beacon_of_one_replica_is_held_back_with_its_evidence(made):
    """What was seen, why it is odd, what to ask: nobody has to trust the screening."""
    found = draft(made, hints=HINTS)
    one = beacon(found)
    assert one.reasons == ("one_replica_began",)
    assert (one.namespace, one.workload, one.direction, one.pods, one.replicas) == (
        "shop",
        "web",
        "egress",
        1,
        3,
    )
    assert one.days_seen == 9
    assert one.samples == ("u-1",)
    assert one.peer == FqdnPeer("cdn.example.net")
    assert one.question.startswith("Does web have to reach 203.0.113.9 (cdn.example.net) on TCP/443?")
    assert any("replicas" in argument.because for argument in one.ledger)
    web = next(one for one in found.proposals if one.subject.workloads == ("Deployment/web",))
    assert web.quarantine == (one,)
    assert not [rule for rule in web.rules if isinstance(rule.peer, FqdnPeer)]
    assert {line.reason for line in web.left_out} == {"quarantined"}


@pytest.mark.parametrize("labels", [{"k8s-app": "kube-dns"}, {"app": "relay"}])
def test_trap_G2_J6_a_beacon_to_a_pod_that_calls_itself_a_resolver_is_held_back(world, made, labels):
    """Whoever may create a pod chooses its labels: they spare nothing from the screening."""
    del made
    relay = world.pod("lab", "relay", labels)
    web = Pods(world.identities[0]["label_key"], "shop", {"app": "web"})
    world.edge(
        web, relay, 53, "UDP", days=range(5, 14), subject_pods=1, hour_bits=0xFFFFF, flows=200, peer_pods=1
    )
    found = draft(world.observations(), hints=HINTS)
    held = {one.direction for one in found.quarantine if "relay" in f"{one.title} {one.workload}"}
    assert held == {"egress", "ingress"}
    assert not [rule for one in found.proposals for rule in one.rules if "relay in lab" in rule.title]


def test_an_entry_survives_its_contract_form(made):
    """What is stored can be shown again."""
    one = beacon(draft(made, hints=HINTS))
    again = quarantined_from_json(one.to_json())
    assert again.to_json() == one.to_json()


def test_a_verdict_speaks_for_its_cell_and_no_other(world, made):
    """Admitted, it is a rule; unwanted, it stays out under its own reason."""
    del world
    cell = beacon(draft(made, hints=HINTS)).cell
    admitted = draft(made, hints=HINTS, memory=Memory({cell: "admit"}))
    assert not admitted.quarantine
    assert "cdn.example.net" in [
        rule.peer.name for one in admitted.proposals for rule in one.rules if isinstance(rule.peer, FqdnPeer)
    ]
    unwanted = draft(made, hints=HINTS, memory=Memory({cell: "unwanted"}))
    assert not unwanted.quarantine
    assert {line.reason for one in unwanted.proposals for line in one.left_out} == {"reviewed_unwanted"}


def test_what_a_person_admitted_asks_for_no_second_look(world):
    """One replica of three, and less likely wanted than not: that is what was looked at."""
    made = calling_home(world, range(10, 14))
    cell = beacon(draft(made, hints=HINTS)).cell
    result = propose(made, capabilities=HINTS, memory=Memory({cell: "admit"}))
    (web,) = [one for one in result.proposals if one.subject.workloads == ("Deployment/web",)]
    (rule,) = [rule for rule in web.rules if isinstance(rule.peer, FqdnPeer)]
    assert {"admitted", "one_replica"} <= set(rule.flags)
    assert rule.confidence.p_legit < 0.5
    assert "needs_review" not in {*rule.flags, *web.flags}
    assert "A reviewer admitted it from the quarantine, where it says who and why." in rule.reasons


def test_a_constrained_direction_names_what_it_leaves_out(made):
    """A direction does not say that all of it has a place where something is held back or unwanted."""

    def why(memory):
        found = draft(made, hints=HINTS, memory=memory)
        (web,) = [one for one in found.proposals if one.subject.workloads == ("Deployment/web",)]
        return web.egress.why.removeprefix("Constrained: outgoing traffic was observed and ")

    cell = beacon(draft(made, hints=HINTS)).cell
    assert why(Memory({})) == "has a place, but for 1 call held back until somebody decides."
    assert why(Memory({cell: "unwanted"})) == (
        "has a place, but for 1 call that a reviewer confirmed as unwanted."
    )
    assert why(Memory({cell: "admit"})) == "all of it has a place."


def test_what_is_held_back_and_left_out_for_more_than_that_is_suspicious(world):
    """A bare pod that is gone for good may have been an intruder's: the replay calls what it did so."""
    api, db = world.pod("shop", "api"), world.pod("data", "db")
    probe = world.pod("shop", "probe", workload="", days=[4], pod_names=["probe"])
    world.edge(api, db, 5432)
    world.edge(probe, db, 5432, days=[4], flows=3, subject_pods=1, peer_pods=1)
    world.neighbours()
    result = propose(world.observations(), capabilities=HINTS)
    (held,) = [one for one in result.quarantine if one.direction == "ingress"]
    (proposal,) = [one for one in result.proposals if one.key == held.proposal]
    assert [line.reason for line in proposal.left_out] == ["stale_peer"]
    assert [one.legitimacy for one in proposal.backtest.denied] == ["suspicious"]
    assert proposal.ingress.why.endswith("has a place, but for 1 call held back until somebody decides.")


def test_one_more_name_on_its_address_does_not_bring_the_unwanted_back(made):
    """Whoever owns the address also owns its names, and three pods that call it prove nothing either."""
    cell = beacon(draft(made, hints=HINTS)).cell
    days = made.edge_days
    twice = days["peer_names"].eq("cdn.example.net") & days["day"].ge(days["day"].max())
    assert twice.any()
    renamed = replace(
        made,
        edge_days=days.assign(peer_names=days["peer_names"].mask(twice, "cdn.example.net,img.example.net")),
        edge_pods=made.edge_pods.assign(subject_pods=3),
    )
    entries = draft(renamed, hints=HINTS, memory=Memory({cell: "unwanted"})).quarantine
    assert [one.reasons for one in entries] == [("unwanted_name",)]


def test_what_the_last_night_alone_turned_waits_one_night(made):
    """Two days of patience buy an intruder nothing."""
    first = draft(made, hints=HINTS)
    cell = beacon(first).cell
    days = made.edge_days
    tamed = replace(made, edge_pods=made.edge_pods.assign(subject_pods=3), edge_days=days)
    assert not draft(tamed, hints=HINTS).quarantine
    fates = {cell: first.screened.remembered()[cell]}
    waiting = draft(tamed, hints=HINTS, memory=Memory({}, fates))
    assert beacon(waiting).reasons == ("waits_one_night",)
    fates = {cell: waiting.screened.remembered()[cell]}
    assert not draft(tamed, hints=HINTS, memory=Memory({}, fates)).quarantine


def lookups(world, client, names) -> pd.DataFrame:
    """Questions of a client, answered."""
    rows = [
        {"cluster": world.cluster, "subject": client.key, "name": name, "rcode": 0, "lookups": 2, "addresses": 1,
         "days": 1, "first_us": world.at(3 + place % 2, 9), "last_us": world.at(3 + place % 2, 10)}
        for place, name in enumerate(names)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(LOOKUPS)).astype(LOOKUPS)


def secrets() -> list[str]:
    """Names that carry data out."""
    return [
        f"{number:03d}{'abcdefghijklmnopqrstuvwxyz234567'[number % 7 :]}.sync.example"
        for number in range(900)
    ]


def test_trap_G17_a_tunnel_is_held_back_and_its_questions_are_refused(world):
    """There is no connection to deny, so the questions are listed: what else was asked, and the cluster's own."""
    web = world.pod("shop", "web")
    world.edge(web, world.pod("shop", "api"))
    world.dns(web, world.kube_dns())
    names = [
        *secrets(),
        "api.example.com",
        "api.shop.svc.cluster.local",
        "api.example.com.shop.svc.cluster.local",
        "api.example.com.cluster.local",
        "4.0.96.10.in-addr.arpa",
    ]
    observations = replace(world.observations(), lookups=lookups(world, web, names))
    found = draft(observations, hints=HINTS)
    (entry,) = found.quarantine
    assert entry.peer == FqdnPeer(pattern="*.sync.example")
    assert "for names under sync.example" in entry.title
    assert (entry.first_us, entry.last_us, entry.days_seen) == (world.at(3, 9), world.at(4, 10), 2)
    (rule,) = [rule for one in found.proposals for rule in one.rules if rule.dns]
    assert "needs_review" in rule.flags
    assert set(rule.dns) == {
        "api.example.com", "*.*.svc.cluster.local", "*.*.*.svc.cluster.local", "*.*.*.*.svc.cluster.local",
        "*.*.*.cluster.local", "4.0.96.10.in-addr.arpa",
    }  # fmt: skip
    unwanted = draft(observations, hints=HINTS, memory=Memory({entry.cell: "unwanted"}))
    (after,) = [rule for one in unwanted.proposals for rule in one.rules if rule.dns]
    assert after.reasons == rule.reasons
    assert rule.reasons[-1].endswith("no longer asked for, also where it was confirmed as unwanted.")
    admitted = draft(observations, hints=HINTS, memory=Memory({entry.cell: "admit"}))
    assert not [rule for one in admitted.proposals for rule in one.rules if "dns_tunnel" in rule.flags]


def test_a_list_of_questions_has_no_name_that_is_held_back(world, made):
    """Nor what the search list makes of it; a name that something admitted has, too, stays."""
    days = made.edge_days
    client = Pods(days.loc[days["peer"] == "203.0.113.9", "subject"].iloc[0], "shop", {})
    asked = ["cdn.example.net", "cdn.example.net.corp.internal", "api.example.com"]
    observations = replace(made, lookups=lookups(world, client, [*secrets(), *asked]))
    found = draft(observations, hints=HINTS)
    assert any("names under sync.example" in one.title for one in found.quarantine)
    assert beacon(found)
    (rule,) = [rule for one in found.proposals for rule in one.rules if "dns_tunnel" in rule.flags]
    assert set(rule.dns) == {"api.example.com", "*.*.svc.cluster.local", "*.*.*.svc.cluster.local"}
    admitted = draft(observations, hints=HINTS, memory=Memory({beacon(found).cell: "admit"}))
    (rule,) = [rule for one in admitted.proposals for rule in one.rules if "dns_tunnel" in rule.flags]
    assert {"cdn.example.net", "cdn.example.net.corp.internal"} <= set(rule.dns)


def test_every_edge_ends_in_one_place_whatever_is_held_back(made):
    """Conservation: admitted, left out or held back, and nothing twice."""
    found = draft(made, hints=HINTS)
    for edge in found.table.edges:
        has_rule, has_reason = edge.place in found.ledger.rules_of, edge.place in found.ledger.reason_of
        assert has_rule != has_reason


def test_few_reply_records_are_no_failures(world):
    """Exporters sample and fold replies: that there was one on a day says that it was answered."""
    web = world.pod("shop", "web")
    for number in range(12):
        world.edge(web, world.pod("shop", f"api-{number}"), flows=400, answered=2)
    assert not draft(world.observations(), hints=HINTS).quarantine


def test_another_address_of_a_known_network_is_no_stranger(world):
    """A service whose address rotates is called at each of them once; a single visit elsewhere is odd."""
    job = world.pod("batch", "report")
    world.edge(job, world.pod("batch", "db"), subject_pods=1)
    for day in range(3, 9):
        world.to(job, "ip", f"20.60.88.{day}", 443, days=[day], subject_pods=1)
    world.to(job, "ip", "45.9.9.9", 443, days=[8], subject_pods=1)
    world.to(job, "ip", "20.9.9.9", 443, names="api.example.net", subject_pods=1)
    held = draft(world.observations(), hints=HINTS).quarantine
    assert [one.title for one in held] == ["45.9.9.9 on TCP/443"]


def _rules_with_debugging(port):
    """Ingress rules of a database that jobs without stable labels and, on a port, a debugging pod called."""
    world = World()
    db = world.pod("data", "db")
    for day, name in enumerate(["import", "export", "report"]):
        world.edge(world.pod("batch", name, {"job-name": name}, kind="Job", days=[day]), db, days=[day])
    pod = world.pod(
        "batch", "debug-x7k2p", {"run": "debug-x7k2p"}, workload="", pod_names=["debug-x7k2p"], days=[9]
    )
    world.edge(pod, db, port, days=[9])
    world.edge(world.pod("data", "web"), db)
    found = draft(world.observations(), hints=HINTS)
    assert "ownerless_pod" in {code for one in found.quarantine for code in one.reasons}
    (database,) = [one for one in found.proposals if one.subject.workloads == ("Deployment/db",)]
    return [rule for rule in database.rules if rule.direction == "ingress"]


@pytest.mark.parametrize(("port", "told"), [(8080, True), (9090, False)])
def test_a_rule_that_lets_in_what_is_held_back_says_so(port, told):
    """No label tells the jobs of a namespace, so all its pods are admitted, and a debugging pod with them."""
    rules = _rules_with_debugging(port)
    wide = [rule for rule in rules if "wide_peer" in rule.flags]
    assert ["admits_held_back" in rule.flags for rule in wide] == [told]
    said = "It also lets in debug-x7k2p in batch, held back on this port (see the quarantine)."
    assert (said in wide[0].reasons) == told
    assert not any("admits_held_back" in rule.flags for rule in rules if "wide_peer" not in rule.flags)


@pytest.mark.parametrize("visitors", [12, 3])
def test_a_port_that_faces_the_internet_says_whom_it_lets_in_all_the_same(world, visitors):
    """Nobody can leave one visitor out of all; of a few that are listed, the unwanted one is left out."""
    web = world.pod("shop", "web")
    for number in range(visitors):
        world.at_server(web, "ip", f"93.184.216.{number}", 443)
    made = world.observations()
    (cell,) = [one for one in draft(made, hints=HINTS).screened.raw.cells.index if "93.184.216.1|" in one]
    found = draft(made, hints=HINTS, memory=Memory({cell: "unwanted"}))
    (proposal,) = found.proposals
    (line,) = [one for one in proposal.left_out if one.reason == "reviewed_unwanted"]
    rules = [rule for rule in proposal.rules if "admits_held_back" in rule.flags]
    if visitors == 12:
        (rule,) = rules
        assert "It also lets in 93.184.216.1, held back on this port (see the quarantine)." in rule.reasons
        assert (line.let_in, line.works) == (True, False)
        assert line.why.endswith(LET_IN)
    else:
        assert not rules
        assert (line.let_in, line.works) == (False, True)
        assert LET_IN not in line.why


def test_a_resolver_for_all_lets_in_who_is_held_back_and_the_list_says_so(world):
    """Every pod may ask it, and a debugging pod with them: it is no reason to review the resolver each night."""
    dns = world.kube_dns()
    for number in range(12):
        world.dns(world.pod(f"team-{number}", "web"), dns)
    debug = world.pod("batch", "debug", {"run": "debug"}, workload="", pod_names=["debug"], days=[9])
    world.dns(debug, dns, days=[9])
    found = draft(world.observations())
    assert {one.peer.title for one in found.quarantine} == {"debug in batch", "coredns in kube-system"}
    (resolver,) = [one for one in found.proposals if one.namespace == "kube-system"]
    assert not any("admits_held_back" in rule.flags for rule in resolver.rules)
    assert {line.let_in for line in resolver.left_out if line.reason == "quarantined"} == {True}


@pytest.mark.parametrize(
    ("reasons", "tests"),
    [
        ("", 0.0),
        ("lone_sighting", 1.0),
        ("scan", 1.5),
        ("scan;many_at_once", 2.5),
        ("beside_lone_sighting", 2.0),
        ("too_little_evidence", 0.0),
        ("too_little_evidence;held_before", 1.0),
        ("held_before", 1.0),
        ("lone_sighting;held_before", 1.0),
    ],
)
def test_what_fired_counts_for_what_it_says(reasons, tests):
    """A long scan says more than its limit; what stands beside a sighting shares its fate; memory tests nothing."""
    facts = pd.DataFrame({"scan_tests": [1.5]}, index=["cell"])
    fates = pd.DataFrame({"reasons": [reasons]}, index=["cell"])
    screened = Screened(None, facts, fates, None)
    assert screened.fired("cell") == tests
    assert screened.lacks_evidence("cell") == (reasons == "too_little_evidence")
