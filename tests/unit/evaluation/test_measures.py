"""Figures against a world whose every record is counted by hand."""

import numpy as np
import pandas as pd
import pytest

from jobs.evaluation.apart import measure_apart
from jobs.evaluation.counts import Measured, count_frame
from jobs.evaluation.judging import Judge
from jobs.evaluation.measures import measure
from jobs.evaluation.pairs import ADDRESS, EXACT_NAME, PREFIX, WORLD, openings, price_class, raw_rule_counts
from jobs.evaluation.proposers import Proposed, exact_allow_list
from jobs.evaluation.protocol import hints_of
from jobs.evaluation.render import observe
from models.domain.cidr import CidrSelector
from models.domain.fqdn import FqdnSelector
from models.manifest.parse import parse_objects
from tests.unit.evaluation.tiny import WEB_ONLY, policy, ports, tiny_world, to


def figures(world, manifests) -> dict:
    measured = measure(world, Proposed(tuple(manifests), (), 3, 0.5), 0, 14)
    rows = count_frame(measured.counts).to_dict("records")
    return {(row["metric"], row["part"]): (row["hits"], row["total"]) for row in rows}


@pytest.fixture(scope="module")
def world():
    return tiny_world()


@pytest.fixture(scope="module")
def found(world):
    return figures(world, WEB_ONLY)


def test_denied_flows_are_those_of_the_later_days_that_no_rule_admits(world, found):
    """Only the new name of day 20 is denied: api is under no policy, so what it calls is open."""
    later = int(world.flows[:5, 14:28].sum())
    new = int(world.flows[4, 20])
    assert found[("flows_denied_14", "all")] == (new, later)
    assert found[("flows_denied_14", "without new releases")][0] == 0
    assert found[("flows_denied_14", "new release")] == (new, new + int(world.flows[3, 15:17].sum()))
    assert found[("flows_denied_7", "all")] == (new, int(world.flows[:5, 14:21].sum()))


def test_denied_cells_count_each_link_once(found):
    """Five links in the later days, of which three were seen."""
    assert found[("cells_denied_14", "all")] == (1, 5)
    assert found[("cells_denied_14", "seen")] == (0, 3)
    assert found[("internal_covered", "all")] == (2, 2)


def test_an_attack_that_no_rule_admits_is_held_back_and_shown(found):
    """The scanned port is in no rule; the tunnel's name matches no pattern."""
    assert found[("attack_admitted", "horizontal_scan")] == (0, 1)
    assert found[("attack_surfaced", "horizontal_scan")] == (1, 1)
    assert found[("attack_admitted", "dns_tunnel")] == (0, 1)
    assert found[("attack_surfaced", "dns_tunnel")] == (0, 1)


def test_a_scan_on_a_way_that_the_same_labels_need_is_told_apart(world, found):
    """The row of all cells counts it; the row beside it counts what a policy could have refused."""
    assert found[("attack_admitted_apart", "horizontal_scan")] == (0, 1)
    assert found[("attack_admitted_apart", "dns_tunnel, DNS seen")] == (0, 1)
    assert found[("attack_admitted_apart", "dns_tunnel, DNS not seen")] == (0, 0)
    wanted = next(n for n, link in enumerate(world.links) if link.client >= 0 and link.server >= 0)
    link = world.links[wanted]
    sets = [int(world.label_set_of[end, 0]) for end in (link.client, link.server)]
    row = {"link": wanted, "client_set": sets[0], "server_set": sets[1], "cell": 0}
    row |= {"allowed": True, "guarded": True}
    scan = {**row, "family": "horizontal_scan", "cell": 1}
    older = {**row, "client_set": sets[1]}
    for uses, counted in (([older], (1, 1)), ([row, older], (0, 0))):
        measured = Measured()
        measure_apart(measured, world, pd.DataFrame([scan]), pd.DataFrame(uses))
        (count,) = [one for one in measured.counts if one[:2] == ("attack_admitted_apart", "horizontal_scan")]
        assert tuple(count[2:4]) == counted


def test_without_policies_everything_is_admitted(world):
    """No default deny, no denial: attacks pass too, and that is counted."""
    open_world = figures(world, [])
    assert open_world[("flows_denied_14", "all")][0] == 0
    assert open_world[("attack_admitted", "all")] == (2, 2)
    assert open_world[("default_deny", "all")] == (0, 8)
    assert open_world[("workloads_denied", "any")] == open_world[("workloads_denied", "both")] == (0, 4)


def test_what_passes_no_closed_gate_is_told_apart(world, found):
    """The victim's egress is closed by a policy for it and open without one; the row of all counts both."""
    assert found[("attack_admitted_guarded", "horizontal_scan")] == (0, 1)
    assert found[("attack_admitted_guarded", "dns_tunnel, DNS seen")] == (0, 1)
    open_world = figures(world, [])
    assert open_world[("attack_admitted_guarded", "horizontal_scan")] == (0, 0)
    assert open_world[("attack_admitted_guarded", "dns_tunnel, DNS seen")] == (0, 0)
    assert open_world[("attack_admitted_apart", "dns_tunnel, DNS seen")] == (1, 1)


def test_permissiveness_counts_pairs_at_gates_under_default_deny(world):
    """Web's egress needs api and the resolver over both protocols; a rule for the whole namespace opens more."""
    opened = openings(Judge(world, WEB_ONLY), 14, 28)
    web, api, _, dns = range(4)
    assert opened.enforced == {(web, "egress")}
    assert opened.needed == {
        (web, "egress", api, "TCP", 9090),
        (web, "egress", dns, "UDP", 53),
        (web, "egress", dns, "TCP", 53),
    }
    assert opened.admitted == opened.needed - {(web, "egress", dns, "TCP", 53)}
    wide = policy("web", egress=[{"toEndpoints": [{}], "toPorts": ports(9090)}])
    assert len(openings(Judge(world, [wide]), 14, 28).admitted) == 3


def test_outside_predicates_have_the_price_classes_of_the_method():
    """Names, patterns and prefixes by what they open."""
    assert price_class(FqdnSelector(name="api.vendor.com")) == EXACT_NAME
    assert price_class(FqdnSelector(pattern="*.cdn.vendor.com")) == "*.x.registrable"
    assert price_class(FqdnSelector(pattern="*.vendor.com")) == "*.registrable"
    assert price_class(FqdnSelector(pattern="**.vendor.com")) == "**.registrable"
    assert price_class(FqdnSelector(pattern="*.blob.core.windows.net")) == "shared-suffix wildcard"
    assert price_class(FqdnSelector(pattern="*")) == "shared-suffix wildcard"
    cidrs = [{"toCIDR": [text]} for text in ("192.0.2.1/32", "192.0.2.0/24", "0.0.0.0/0")]
    entries = parse_objects([policy("web", egress=cidrs)]).entries
    classes = [
        price_class(peer) for entry in entries for peer in entry.peers if isinstance(peer, CidrSelector)
    ]
    assert classes == [ADDRESS, PREFIX, WORLD]


def test_exact_rules_are_counted_per_workload_and_per_recorded_edge(world):
    """Three daily links and the scan: egress of each, ingress where the other end is a pod."""
    assert raw_rule_counts(world, 0, 14) == (7, 7)


def test_the_exact_allow_list_admits_what_was_recorded_and_the_attack_with_it(world):
    """One entry per recorded edge, addresses exact, nothing screened."""
    made = exact_allow_list(observe(world, 0, 14), "balanced", hints_of(world))
    assert made.rule_count == 7
    naive = figures(world, made.manifests)
    assert naive[("cells_denied_14", "seen")] == (0, 3)
    assert naive[("attack_admitted", "horizontal_scan")] == (1, 1)


def test_both_gates_have_to_admit(world):
    """Egress allowed and ingress denied is denied, and the gate is told."""
    deaf = policy(
        "api", ingress=[{"fromEndpoints": [{"matchLabels": {"app": "nobody"}}], "toPorts": ports(9090)}]
    )
    denied = figures(world, [policy("web", egress=[to("api", 9090)]), deaf])
    assert denied[("cells_denied_14", "seen")] == (3, 3)
    assert np.isclose(denied[("default_deny", "egress")][0], 1)
    assert np.isclose(denied[("default_deny", "ingress")][0], 1)
    assert denied[("workloads_denied", "any")][0] == 2 - denied[("workloads_denied", "both")][0]
