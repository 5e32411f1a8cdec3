"""Roles, lists, patterns, prefixes and ranges: what a proposal opens beyond what was seen, and what never."""

import json
from dataclasses import replace

import pytest

from jobs.propose import propose
from models.confidence.policy_cells import policy_cells
from models.domain.agent import OLDEST
from models.domain.capabilities import CapabilityHints
from models.domain.fqdn import FqdnSelector
from models.domain.peer import CidrPeer, EndpointPeer, FqdnPeer, peer_from_json, peer_to_json
from models.domain.proposal_json import proposal_from_json, proposal_to_json
from models.manifest.validate import problems
from models.synthesis.draft import draft
from models.synthesis.learned import learned_from_json
from tests.unit.synthesis.world import World, proposal_for, shuffled

NAMES = CapabilityHints(fqdn=True, cilium_version="1.18")


def tenants(world, count, *, prefix="tenant-"):
    """So many tenants of one role that use a shared database, and the database."""
    store = world.pod("platform", "store")
    for number in range(1, count + 1):
        space = f"{prefix}{number:02d}"
        api = world.pod(space, "api", {"app": "saas-api"})
        web = world.pod(space, "web", {"app": "saas-web"})
        world.edge(web, api)
        world.edge(api, store, 5432)
    return store


def ingress(proposal):
    """Ingress rules of a proposal."""
    return [rule for rule in proposal.rules if rule.direction == "ingress"]


def test_tomorrows_tenant_is_admitted_where_all_tenants_are():
    """A family is one peer, by labels, in every namespace; nobody else carries them."""
    world = World()
    tenants(world, 3)
    (rule,) = ingress(proposal_for(propose(world.observations()), "store"))
    assert (rule.peer.namespace, rule.peer.selector.labels) == ("*", (("app", "saas-api"),))
    assert rule.peer.selector.matches({"app": "saas-api"})
    assert "generalised" in rule.flags
    (record,) = rule.widening
    assert (record.kind, record.covers, record.pairs) == ("role", 3, 0)
    assert record.change < 0


def scraped(world, *, everywhere):
    """Tenants whose web is scraped everywhere or in one, and whose api is scraped in one."""
    tenants(world, 2)
    scraper = world.pod("watch", "scraper")
    webs = ("tenant-01", "tenant-02") if everywhere else ("tenant-02",)
    for space in webs:
        world.edge(scraper, world.pod(space, "web", {"app": "saas-web"}), 9102)
    world.edge(scraper, world.pod("tenant-02", "api", {"app": "saas-api"}), 9102)
    return proposal_for(propose(world.observations()), "scraper")


def api_peers(proposal):
    """Namespaces in which the apis are named."""
    peers = [peer for rule in proposal.rules for peer in (rule.peer.members or (rule.peer,))]
    return {peer.namespace for peer in peers if ("app", "saas-api") in peer.selector.labels}


@pytest.mark.parametrize(("everywhere", "spaces"), [(True, {"*"}), (False, {"tenant-02"})])
def test_one_member_stands_for_a_family_where_all_its_namespaces_are_dealt_with(everywhere, spaces):
    """Who scrapes every tenant's web will scrape its api, too; who scrapes in one tenant only will not."""
    assert api_peers(scraped(World(), everywhere=everywhere)) == spaces


def test_a_family_keeps_one_policy_per_namespace():
    """A clusterwide policy could not say "the api of the own namespace"."""
    world = World()
    tenants(world, 3)
    proposals = [
        one for one in propose(world.observations()).proposals if one.name.startswith("portolan-api")
    ]
    assert [one.namespace for one in proposals] == ["tenant-01", "tenant-02", "tenant-03"]
    peers = {rule.peer.namespace for one in proposals for rule in ingress(one)}
    assert peers == {"tenant-01", "tenant-02", "tenant-03"}


def test_a_family_whose_labels_a_stranger_carries_is_listed_instead():
    """One pod elsewhere with the same label, and the selector would let it in."""
    world = World()
    tenants(world, 3)
    world.edge(world.pod("other", "impostor", {"app": "saas-api"}), world.pod("other", "sink"), 9999)
    (rule,) = ingress(proposal_for(propose(world.observations()), "store"))
    assert sorted(one.namespace for one in rule.peer.members) == ["tenant-01", "tenant-02", "tenant-03"]
    assert rule.widening == ()


def shards(world, numbers, *, days=None):
    """Shards of one index behind a router."""
    router = world.pod("index", "router")
    for number in numbers:
        shard = world.pod("index", f"shard-{number}", {"app": "shard", "ordinal": str(number)})
        world.edge(router, shard, 9400, days=days if number == numbers[-1] else None)
        world.edge(shard, world.pod("platform", "bus"), 9092)


def test_shards_share_one_policy_and_its_ids_outlive_a_new_shard():
    """The role has a name of its own: neither key nor rules depend on who is in it."""
    before, after = World(), World()
    shards(before, [0, 1, 2])
    shards(after, [0, 1, 2, 3])
    one = proposal_for(propose(before.observations()), "shard-0")
    other = proposal_for(propose(after.observations()), "shard-3")
    assert one.subject.selector.labels == other.subject.selector.labels == (("app", "shard"),)
    assert (one.key, one.name) == (other.key, other.name)
    assert {rule.id for rule in one.rules} == {rule.id for rule in other.rules}
    assert "role" in one.flags


def test_shards_share_one_policy_although_one_of_them_does_more():
    """No label says "the other three": one policy for four costs less than four."""
    world = World()
    shards(world, [0, 1, 2, 3])
    last = world.pod("index", "shard-3", {"app": "shard", "ordinal": "3"})
    world.edge(world.pod("watch", "scraper"), last, 9102)
    one = proposal_for(propose(world.observations()), "shard-0")
    assert one.subject.selector.labels == (("app", "shard"),)
    assert len(one.subject.workloads) == 4


def test_shards_that_do_much_more_keep_policies_of_their_own():
    """What the others would be opened to is worth more than the lines it saves."""
    world = World()
    shards(world, [0, 1, 2])
    last = world.pod("index", "shard-2", {"app": "shard", "ordinal": "2"})
    for number in range(8):
        world.edge(last, world.pod("platform", f"store-{number}x", {"app": f"store{number}"}), 5432 + number)
    one = proposal_for(propose(world.observations()), "shard-0")
    assert one.subject.workloads == ("Deployment/shard-0",)


def jobs_of_a_team(own_stores):
    """Jobs of one label that fill a cache; each has so many stores of its own."""
    world = World()
    cache = world.pod("team", "cache", {"app": "cache"})
    for number, stores in enumerate(own_stores):
        job = world.pod("team", f"job-{number}", {"app": "job", "ordinal": str(number)}, kind="CronJob")
        for port in (6379, 6380):
            world.edge(job, cache, port)
        for store in range(stores):
            world.edge(job, world.pod("platform", f"store-{number}{store}x"), 5432)
    return world.observations()


def mates(result):
    """How many share the policy of the first job."""
    return len(proposal_for(result, "job-0").subject.workloads)


def test_a_job_that_runs_for_the_first_time_does_not_undo_the_policy_of_its_mates():
    """No label says "those without it"; for what it opens alone nobody would have begun to share."""
    first = propose(jobs_of_a_team([0, 0, 1]))
    assert mates(first) == 3
    assert mates(propose(jobs_of_a_team([0, 0, 1, 1]))) == 1
    second = propose(jobs_of_a_team([0, 0, 1, 1]), previous=first.learned)
    assert mates(second) == 4
    assert mates(propose(jobs_of_a_team([0, 0, 1, 1]), previous=second.learned)) == 4
    assert learned_from_json(second.learned.to_json()) == second.learned


def test_a_policy_of_all_ends_when_it_opens_clearly_too_much():
    """What was shared last night is a reason to stay, and no licence."""
    first = propose(jobs_of_a_team([0, 0, 1]))
    assert mates(propose(jobs_of_a_team([0, 0, 1, 4]), previous=first.learned)) == 1


def test_a_role_that_no_label_names_is_told_what_a_label_would_bring():
    """A stranger carries the label of all tenants, so each is listed, and the owner can mend that."""
    world = World()
    tenants(world, 3)
    world.edge(world.pod("other", "impostor", {"app": "saas-api"}), world.pod("other", "sink"), 9999)
    told = [
        one.reasons
        for one in propose(world.observations()).proposals
        if one.subject.workloads == ("Deployment/api",)
    ]
    wish = "Deployment/api does the same in tenant-01, tenant-02, tenant-03, and no label is theirs alone: "
    assert [sum(text.startswith(wish) for text in reasons) for reasons in told] == [1, 1, 1]


def test_a_family_is_its_whole_kind_where_no_label_tells_its_parts():
    """The web of one tenant does so much more that it plays another role; its label is that of all webs."""
    world = World()
    store = tenants(world, 3)
    odd = world.pod("tenant-03", "web", {"app": "saas-web"})
    for number in range(8):
        world.edge(odd, world.pod("platform", f"extra{number}"), 7000 + number)
    for space in ("tenant-01", "tenant-02", "tenant-03"):
        world.edge(world.pod(space, "web", {"app": "saas-web"}), store, 6379)
    named = [
        rule.peer
        for rule in ingress(proposal_for(propose(world.observations()), "store"))
        if rule.ports[0].number == 6379
    ]
    assert [(peer.namespace, peer.selector.labels) for peer in named] == [("*", (("app", "saas-web"),))]


def test_two_families_of_one_name_are_two_peers():
    """Shards of one stem that do different things under labels of their own: one list, a cell each."""
    world = World()
    scraper, store = world.pod("monitoring", "prometheus"), world.pod("platform", "store")
    for number in range(1, 4):
        for shard, other in (("db-0", 7001), ("db-1", 7002)):
            pod = world.pod(f"tenant-{number}", shard, {"app": shard}, workload=shard)
            world.edge(scraper, pod, 9100)
            world.edge(pod, store, 5432)
            for extra in "abcdefgh":
                world.edge(pod, world.pod("platform", f"sink-{extra}"), other)
    result = propose(world.observations())
    (listed,) = [rule for rule in proposal_for(result, "prometheus").rules if rule.ports[0].number == 9100]
    assert [one.title for one in listed.peer.members] == [
        "db (app=db-0) in every namespace",
        "db (app=db-1) in every namespace",
    ]
    assert len({one.key for one in listed.peer.members}) == 2
    (admitted,) = ingress(proposal_for(result, "store"))
    assert admitted.evidence.days_seen == 14
    assert all(rule.confidence is not None for rule in (listed, admitted))


def test_workloads_that_do_different_things_share_no_policy():
    """A common label is not a role."""
    world = World()
    for name, port in (("a", 1001), ("b", 1002), ("c", 1003)):
        pod = world.pod("shop", name, {"app": name, "tier": "api"})
        for place in range(4):
            world.edge(
                pod, world.pod("shop", f"peer-of-{name}{place}", {"app": f"{name}{place}"}), port + place
            )
    members = [one.subject.workloads for one in propose(world.observations()).proposals]
    assert all(len(names) == 1 for names in members if names[0] in ("Deployment/a", "Deployment/b"))


def test_peers_of_one_port_share_a_rule_whose_id_outlives_a_new_peer():
    """A decision on who may use a port stays; a new port is a new rule."""
    before, after = World(), World()
    for world, names in ((before, "ab"), (after, "abc")):
        server = world.pod("shop", "server")
        for name in names:
            world.edge(world.pod("shop", name), server)
    (one,) = ingress(proposal_for(propose(before.observations()), "server"))
    (other,) = ingress(proposal_for(propose(after.observations()), "server"))
    assert one.id == other.id
    assert [len(rule.peer.members) for rule in (one, other)] == [2, 3]
    assert one.meaning() != other.meaning()


def test_a_peer_that_needs_review_keeps_a_rule_of_its_own():
    """What was seen once can be refused alone."""
    world = World()
    server = world.pod("shop", "server")
    for name in "ab":
        world.edge(world.pod("shop", name), server)
    world.edge(world.pod("shop", "odd"), server, days=[12], subject_pods=1, peer_pods=1)
    rules = ingress(proposal_for(propose(world.observations()), "server"))
    alone = [rule for rule in rules if "needs_review" in rule.flags]
    assert all(not rule.peer.members for rule in alone)
    assert [len(rule.peer.members) for rule in rules if rule not in alone] == [2]


def growing(world, pod, domain="contentnet.net", *, parent=""):
    """Names that are born every other day and stay."""
    for number in range(7):
        name = f"edge-{number:03d}.{domain}"
        days = range(2 * number, world.days)
        world.to(pod, "ip", f"52.7.{number}.9", 443, names=name, days=days)


def test_trap_G13_names_that_keep_growing_become_a_pattern():
    """Seven names, one born every other day: the eighth is admitted."""
    world = World()
    growing(world, world.pod("shop", "web"))
    made = propose(world.observations(), capabilities=NAMES)
    (rule,) = [one for one in proposal_for(made, "web").rules if isinstance(one.peer, FqdnPeer)]
    assert FqdnSelector(pattern=rule.peer.pattern).matches("edge-007.contentnet.net", deep_wildcards=False)
    (record,) = rule.widening
    assert (record.kind, record.covers) == ("pattern", 7)
    assert made.learned.patterns == dict.fromkeys(made.learned.patterns, ("edge-*.contentnet.net",))


@pytest.mark.parametrize(("version", "deep"), [(None, False), ("1.18", False), ("1.19", True)])
def test_trap_G18_a_deep_wildcard_is_written_only_for_a_cluster_that_has_it(version, deep):
    """Many branches under one domain: before 1.19 ``**.`` would match what ``*`` does."""
    world = World()
    web = world.pod("shop", "web")
    for number in range(12):
        name = f"x{number:03d}q.y{number % 3}z.contentnet.net"
        world.to(web, "ip", f"52.7.{number}.9", 443, names=name, days=range(number, 14))
    result = propose(world.observations(), capabilities=CapabilityHints(fqdn=True, cilium_version=version))
    peers = [rule.peer for rule in proposal_for(result, "web").rules if isinstance(rule.peer, FqdnPeer)]
    patterns = {one.pattern for peer in peers for one in peer.each}
    branches = {f"*.y{branch}z.contentnet.net" for branch in range(3)}
    assert patterns == ({"**.contentnet.net"} if deep else branches)


def test_trap_G14_growth_under_a_shared_suffix_is_only_asked_about():
    """Any tenant may have names there."""
    world = World()
    growing(world, world.pod("shop", "web"), "blob.core.windows.net")
    rules = proposal_for(propose(world.observations(), capabilities=NAMES), "web").rules
    peers = [one for rule in rules if isinstance(rule.peer, FqdnPeer) for one in rule.peer.each]
    assert len(peers) == 7
    assert not any(peer.pattern for peer in peers)


def partners(world, count):
    """A pod that calls so many partners, and one place for the first time today."""
    web = world.pod("shop", "web")
    for number in range(count):
        world.to(web, "ip", f"20.1.{number}.9", 443, names=f"api.partner{number}.com")
    world.to(web, "ip", "20.9.9.9", 443, names="www.rare.org", days=[world.days - 1], subject_pods=1)


def test_ordinary_names_of_one_port_share_a_rule_and_its_id_outlives_a_new_one():
    """What needs a person's eye stands alone; the manifest lists each name once."""
    found = []
    for count in (2, 3):
        world = World()
        partners(world, count)
        made = propose(world.observations(), capabilities=NAMES)
        proposal = proposal_for(made, "web")
        rules = [one for one in proposal.rules if isinstance(one.peer, FqdnPeer)]
        alone, shared = sorted(rules, key=lambda one: len(one.peer.each))
        assert (alone.peer.name, "needs_review" in alone.flags) == ("www.rare.org", True)
        assert [one.name for one in shared.peer.members] == [f"api.partner{n}.com" for n in range(count)]
        assert peer_from_json(peer_to_json(shared.peer)) == shared.peer
        text = json.dumps(made.manifests[proposal.key]["spec"])
        assert all(text.count(one.name) == 1 for one in shared.peer.members)
        found.append(shared.id)
    assert found[0] == found[1]


def test_each_name_of_a_list_is_a_cell():
    """A list admits its members one by one, so each has its own chance of coming back."""
    world = World()
    partners(world, 3)
    cells = policy_cells(draft(world.observations(), hints=NAMES), world.observations()).cells
    assert sum(cell.endswith(f"fqdn:api.partner{n}.com") for n in range(3) for cell in cells.index) == 3


def test_a_pattern_of_last_night_is_kept_while_it_covers_names():
    """No growth tonight is no reason to replace one rule by seven."""
    world, still = World(), World()
    growing(world, world.pod("shop", "web"))
    pod = still.pod("shop", "web")
    for number in range(7):
        still.to(pod, "ip", f"52.7.{number}.9", 443, names=f"edge-{number:03d}.contentnet.net")
    learned = propose(world.observations(), capabilities=NAMES).learned
    again = propose(still.observations(), capabilities=NAMES, previous=learned_from_json(learned.to_json()))
    alone = propose(still.observations(), capabilities=NAMES)

    def patterns(made):
        return [r.peer.pattern for r in proposal_for(made, "web").rules if isinstance(r.peer, FqdnPeer)]

    assert patterns(again) == ["edge-*.contentnet.net"]
    assert "" in patterns(alone)


def test_addresses_that_take_turns_become_their_network():
    """Each for some days and then never again: the next one is near."""
    world = World()
    pod = world.pod("shop", "web")
    for number in range(4):
        world.to(pod, "ip", f"52.9.9.{10 + number}", 443, days=range(3 * number, 3 * number + 3))
    (rule,) = [
        r for r in proposal_for(propose(world.observations()), "web").rules if isinstance(r.peer, CidrPeer)
    ]
    assert rule.peer.cidr == "52.9.9.0/24"
    (record,) = rule.widening
    assert (record.kind, record.covers, record.unseen) == ("prefix", 4, 252)
    assert "needs_review" in rule.flags


def networks(world: World) -> list[str]:
    """CIDRs of the one rule writer, sorted."""
    rules = proposal_for(propose(world.observations()), "web").rules
    return sorted(r.peer.cidr for r in rules if isinstance(r.peer, CidrPeer))


def test_addresses_of_ipv6_take_turns_within_their_64():
    """Nobody else has a part of a /64: it is taken as a /24 is, and says how many addresses it opens."""
    world = World()
    pod = world.pod("shop", "web")
    for number in range(7):
        world.to(pod, "ip", f"2600:9000:1::{10 + 977 * number:x}", 443, days=[2 * number, 2 * number + 1])
    made = proposal_for(propose(world.observations()), "web")
    (rule,) = [r for r in made.rules if isinstance(r.peer, CidrPeer)]
    assert rule.peer.cidr == "2600:9000:1::/64"
    assert rule.widening[0].unseen == 2**64 - 7
    assert any("18,446,744,073,709,551,609" in reason for reason in rule.reasons)


@pytest.mark.parametrize("network", ["52.9.9.{}", "2600:9000:1::{}"])
def test_several_addresses_a_day_that_never_come_back_are_one_destination(network):
    """Answers change within the day: their days overlap, and still none of them will be there next week."""
    world = World()
    pod = world.pod("shop", "web")
    for number in range(4 * world.days):
        world.to(pod, "ip", network.format(10 + number), 443, days=[number // 4], flows=4)
    assert networks(world) == [{"52.9.9.{}": "52.9.9.0/24"}.get(network, "2600:9000:1::/64")]


def test_many_addresses_of_one_day_are_no_destination_that_moves():
    """A visit to a network, once: nothing says that it goes on."""
    world = World()
    pod = world.pod("shop", "web")
    for number in range(12):
        world.to(pod, "ip", f"52.9.9.{10 + 16 * number}", 443, days=[9], flows=4)
    assert "52.9.9.0/24" not in networks(world)


def test_addresses_that_are_used_side_by_side_stay_exact():
    """Three partners are three lines."""
    world = World()
    pod = world.pod("shop", "web")
    for number in range(3):
        world.to(pod, "ip", f"52.9.9.{10 + number}", 443)
    rules = proposal_for(propose(world.observations()), "web").rules
    assert {r.peer.cidr for r in rules if isinstance(r.peer, CidrPeer)} == {
        f"52.9.9.{10 + number}/32" for number in range(3)
    }


def ftp(world, ports):
    """A transfer server with its control port and the ports it handed out."""
    client, server = world.pod("shop", "client"), world.pod("shop", "ftp")
    world.edge(client, server, 21)
    for place, port in enumerate(ports):
        world.edge(client, server, port, days=[place % world.days])


@pytest.mark.parametrize(("posture", "written"), [("balanced", 12), ("generous", 1)])
def test_trap_B13_negotiated_ports_are_one_rule(posture, written):
    """A list where the range would open more than was seen, a range where that is allowed."""
    world = World()
    ftp(world, range(50000, 50060, 5))
    rules = ingress(proposal_for(propose(world.observations(), posture=posture, capabilities=NAMES), "ftp"))
    (rule,) = [one for one in rules if one.ports[0].number >= 50000]
    assert len(rule.ports) == written
    assert bool(rule.ports[0].end) == (written == 1)
    assert bool(rule.widening) == ("needs_review" in rule.flags) == (written == 1)


@pytest.mark.parametrize("posture", ["balanced", "generous"])
def test_a_stable_port_among_negotiated_ones_is_a_rule_of_its_own_unless_the_range_holds_it(posture):
    """Ports that a protocol hands out are not there on every day, and what is was not handed out."""
    world = World()
    drawn = range(50000, 50060, 5)
    ftp(world, drawn)
    world.edge(world.pod("shop", "client"), world.pod("shop", "ftp"), 50057)
    rules = ingress(proposal_for(propose(world.observations(), posture=posture, capabilities=NAMES), "ftp"))
    ports = {tuple(port.text for port in one.ports): " ".join(one.reasons) for one in rules}
    negotiated, said = next((key, text) for key, text in ports.items() if "hands them out" in text)
    assert "12 ports of a protocol that hands them out" in said
    if posture == "balanced":
        assert negotiated == tuple(f"TCP/{number}" for number in drawn)
        assert set(ports) == {negotiated, ("TCP/21",), ("TCP/50057",)}
    else:
        assert negotiated == ("TCP/50000-50099",)
        assert set(ports) == {negotiated, ("TCP/21",)}
        assert "with 1 that is not handed out: 87 more ports are opened" in said


@pytest.mark.parametrize("version", [None, OLDEST])
def test_ranges_are_written_whatever_release_runs(version):
    """Every one that may run reads them, also where nobody said which."""
    world = World()
    ftp(world, range(50000, 50060, 5))
    hints = replace(NAMES, cilium_version=version)
    proposal = proposal_for(propose(world.observations(), posture="generous", capabilities=hints), "ftp")
    assert any(port.end for rule in ingress(proposal) for port in rule.ports)


def test_the_rule_of_negotiated_ports_is_the_same_rule_tomorrow():
    """Other ports, same id."""
    ids = []
    for step in (5, 4):
        world = World()
        ftp(world, range(50000, 50060, step))
        rules = ingress(proposal_for(propose(world.observations(), capabilities=NAMES), "ftp"))
        ids.append([one.id for one in rules if one.ports[0].number >= 50000])
    assert ids[0] == ids[1]


@pytest.mark.parametrize("posture", ["strict", "balanced", "generous"])
def test_a_generalised_proposal_survives_storage_linting_and_another_order(posture):
    """Its stored form gives it back, every release takes it, and the order of rows is nothing."""
    world = World()
    tenants(world, 3)
    growing(world, world.pod("shop", "web"))
    ftp(world, range(50000, 50060, 5))
    made = propose(world.observations(), posture=posture, capabilities=NAMES)
    for one in made.proposals:
        form = proposal_to_json(one)
        assert proposal_to_json(proposal_from_json(form)) == form
        assert problems(made.manifests[one.key], cilium_version="1.18") == []
    again = propose(shuffled(world.observations(), 3), posture=posture, capabilities=NAMES)
    assert again.to_json() == made.to_json()
    assert again.learned.to_json() == made.learned.to_json()


def test_an_endpoint_list_names_each_of_its_selectors():
    """Contract form: ``any_of`` says exactly what the manifest says."""
    world = World()
    server = world.pod("shop", "server")
    for name in "ab":
        world.edge(world.pod("shop", name), server)
    (rule,) = ingress(proposal_for(propose(world.observations()), "server"))
    assert isinstance(rule.peer, EndpointPeer)
    form = proposal_to_json(proposal_for(propose(world.observations()), "server"))
    (peer,) = [one["peer"] for one in form["rules"] if one["id"] == rule.id]
    assert [one["labels"] for one in peer["any_of"]] == [{"app": "a"}, {"app": "b"}]
    assert peer["workload"] == "Deployment/a + Deployment/b"
