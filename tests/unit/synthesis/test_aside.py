"""Traps B3, E11, E12: what worked and is no edge is listed, and keeps open what no rule can let through."""

import pytest

from jobs.propose import propose
from tests.unit.synthesis.set_aside import row, web_and_api, with_rows
from tests.unit.synthesis.world import proposal_for


@pytest.fixture
def world():
    return web_and_api()


def observed(world, reason, **changes):
    """The window with one thing that the fold set aside, of web's outgoing traffic."""
    return with_rows(world, [row(world, reason, **changes)])


def lines(result):
    """What is left out of workloads without a proposal, by reason."""
    return {line.reason: line for line in result.left_out}


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("service_without_known_pods", "service_address"),
        ("ambiguous_direction", "ambiguous_direction"),
        ("reply_only", "no_request"),
        ("unsupported_protocol", "unsupported_protocol"),
        ("port_zero", "no_port"),
    ],
)
def test_what_worked_day_after_day_and_is_no_edge_keeps_the_direction_open(world, reason, told):
    result = propose(observed(world, reason))
    web = next(one for one in result.unproposed if one.workloads == ("Deployment/web",))
    assert told in web.why
    assert lines(result)[told].flows == 300
    assert proposal_for(result, "api").ingress.enforced


def test_a_few_records_of_a_pod_that_starts_close_no_less_and_are_listed(world):
    proposal = proposal_for(propose(observed(world, "unresolved", flows=3, answered=3, days=1)), "web")
    assert proposal.egress.enforced
    assert [(line.reason, line.peer, line.works) for line in proposal.left_out] == [
        ("unresolved", "10.9.9.9", True)
    ]


@pytest.mark.parametrize("reason", ["unsupported_protocol", "port_zero"])
@pytest.mark.parametrize(
    ("kind", "peer", "told"), [("ip", "224.0.0.18", "multicast"), ("entity", "health", "health")]
)
def test_whom_policy_never_stops_keeps_nothing_open_on_no_port_either(world, reason, kind, peer, told):
    """Groups are announced by protocols without ports: policy does not select them."""
    protocol = "IGMP" if reason == "unsupported_protocol" else "UDP"
    made = observed(world, reason, peer_kind=kind, peer=peer, protocol=protocol, port=-1)
    proposal = proposal_for(propose(made), "web")
    assert proposal.egress.enforced
    assert {line.reason for line in proposal.left_out} == {told}


def test_what_never_answered_keeps_nothing_open(world):
    proposal = proposal_for(propose(observed(world, "unresolved", answered=0)), "web")
    assert proposal.egress.enforced
    assert not proposal.left_out[0].works


def test_a_service_address_is_answered_by_its_pods(world):
    """Replies come from where the call was translated to, so none is seen from the address."""
    result = propose(observed(world, "service_without_known_pods", answered=0))
    assert lines(result)["service_address"].works


def released(world, spans, of="subject"):
    """A call of web by a strange address or by unclear ports, parted by the releases of one of its ends."""
    sets = [world.pod("shop", "odd", {"app": "odd", "version": f"1.{place}"}) for place in range(len(spans))]
    for one in sets:
        world.edge(one, world.pod("shop", "api"))
    rows = []
    for one, (first, last) in zip(sets, spans, strict=True):
        times = {"first_us": world.at(first, 1), "last_us": world.at(last - 1, 20), "days": last - first}
        if of == "subject":
            rows.append(row(world, "unresolved", subject=one.key, **times))
        else:
            peer = {"peer_kind": "endpoint", "peer": one.key}
            rows.append(row(world, "ambiguous_direction", **peer, **times))
    return propose(with_rows(world, rows))


@pytest.mark.parametrize(("of", "name"), [("subject", "odd"), ("peer", "web")])
def test_releases_that_change_labels_part_no_contact(world, of, name):
    """It worked on every day, but on no label set's more than a third of them."""
    proposal = proposal_for(released(world, [(0, 5), (5, 9), (9, 14)], of), name)
    (untold,) = [rule for rule in proposal.rules if "untold" in rule.flags]
    assert untold.evidence.days_seen == 14


def test_pods_that_start_at_the_same_time_add_up_to_nothing(world):
    """Three label sets with the same few days worked on these days and on no others."""
    proposal = proposal_for(released(world, [(3, 7), (3, 7), (3, 7)]), "odd")
    assert proposal.egress.enforced
    assert not [rule for rule in proposal.rules if "untold" in rule.flags]


def test_a_day_that_two_releases_share_counts_once(world):
    """Three days and four that overlap in one are six of fourteen."""
    proposal = proposal_for(released(world, [(3, 6), (5, 9)]), "odd")
    assert proposal.egress.enforced
    assert not [rule for rule in proposal.rules if "untold" in rule.flags]
