"""What a world shows is what the fold of the observation store would show."""

import json

import numpy as np
import pandas as pd
import pytest

from jobs.evaluation.parameters import WorldParameters
from jobs.evaluation.render import observe
from jobs.evaluation.world import make_world
from models import frames
from models.learning.days import observed_days
from tests.unit.evaluation.small import SMALL, small_world

_EDGE = ["cluster", "subject", "direction", "peer_kind", "peer", "protocol", "port", "icmp_type"]
_KEYS = {
    "edge_days": (frames.EDGE_DAYS, [*_EDGE, "day"]),
    "edge_pods": (frames.EDGE_PODS, _EDGE),
    "edge_routes": (frames.EDGE_ROUTES, [*_EDGE[:-1], "l7_kind", "l7_method", "l7_route"]),
    "identities": (frames.IDENTITIES, ["cluster", "label_key", "labels", "workload", "workload_kind"]),
    "pods": (frames.PODS, ["cluster", "namespace", "pod", "label_key"]),
    "lookups": (frames.LOOKUPS, ["cluster", "subject", "name", "rcode"]),
    "coverage": (frames.COVERAGE, ["cluster", "day", "hour"]),
    "set_aside": (frames.SET_ASIDE, ["cluster", "reason"]),
}
#: A world in which several workloads carry the same labels and no DNS is seen.
UNNAMED = WorldParameters("unnamed", 43, 45, days=28, tenants=1, convention="missing", dns_visibility=0.0)


@pytest.fixture(params=[SMALL, UNNAMED], ids=["usual", "labels missing"])
def world(request):
    return small_world(request.param)


@pytest.mark.parametrize("name", sorted(_KEYS))
def test_a_frame_has_the_columns_types_and_order_of_the_contract(world, name):
    """Columns and dtypes are those of models.frames, keys are unique and rows sorted by them."""
    spec, keys = _KEYS[name]
    frame = getattr(observe(world, 0, 14), name)
    assert {column: str(dtype) for column, dtype in frame.dtypes.items()} == dict(spec)
    assert not frame.duplicated(keys).any()
    assert frame[keys].equals(frame[keys].sort_values(keys, kind="stable").reset_index(drop=True))


def test_every_end_inside_the_cluster_has_an_identity(world):
    """No edge names a label set whose labels are not told."""
    observed = observe(world, 0, 14)
    inside = observed.edge_days[observed.edge_days["peer_kind"] == "endpoint"]
    ends = set(observed.edge_days["subject"]) | set(inside["peer"])
    assert ends == set(observed.identities["label_key"])
    assert all(json.loads(text) == sorted(json.loads(text)) for text in observed.identities["labels"])


def test_an_edge_shows_no_more_pods_than_ran_on_its_days(world):
    """A call of one day shows the pods of that day, however often they were replaced in the window."""
    observed = observe(world, 0, 14)
    pods = observed.pods
    for row in observed.edge_pods.sample(150, random_state=1).to_dict("records"):
        days = observed.edge_days[(observed.edge_days[_EDGE] == pd.Series(row)[_EDGE]).all(axis=1)]
        ends = {"subject_pods": row["subject"], "peer_pods": row["peer"]}
        for column, label_key in ends.items():
            mine = pods[pods["label_key"] == label_key]
            there = [
                ((mine["first_us"] <= last) & (mine["last_us"] >= first)).to_numpy()
                for first, last in zip(days["first_us"], days["last_us"], strict=True)
            ]
            assert row[column] <= np.any(there, axis=0).sum()


def test_times_lie_within_their_day_and_window(world):
    """First and last sight of a row are on its day, in order."""
    rows = observe(world, 3, 10).edge_days
    start = world.start_us()
    day = (rows["first_us"] - start) // (24 * 3600 * 1_000_000)
    dates = np.array(world.dates())
    assert (dates[day] == rows["day"].to_numpy()).all()
    assert (rows["last_us"] >= rows["first_us"]).all()
    last = (rows["last_us"] - start) // (24 * 3600 * 1_000_000)
    assert (last == day).all()
    assert sorted(rows["day"].unique()) == world.dates()[3:10]


def test_both_ends_tell_of_a_connection_between_pods(world):
    """Egress of the one is ingress of the other, with the same records."""
    rows = observe(world, 0, 14).edge_days
    inside = rows[rows["peer_kind"] == "endpoint"]
    egress = inside[inside["direction"] == "egress"].set_index(["subject", "peer", "protocol", "port", "day"])
    ingress = inside[inside["direction"] == "ingress"].set_index(
        ["peer", "subject", "protocol", "port", "day"]
    )
    assert egress["flows"].sort_index().tolist() == ingress["flows"].sort_index().tolist()


def test_names_are_told_only_where_dns_is_seen():
    """A namespace without DNS visibility shows addresses alone."""
    blind = observe(small_world(UNNAMED), 0, 14)
    assert (blind.edge_days["peer_names"] == "").all()
    assert blind.lookups.empty
    assert blind.edge_routes.empty
    seeing = observe(small_world(), 0, 14)
    assert (seeing.edge_days["peer_names"] != "").any()


def test_lossy_days_are_partial_days():
    """What was lost stands in the coverage, so that silence on such a day proves nothing."""
    world = small_world()
    days = observed_days(observe(world, 0, 28).coverage)
    bad = {world.dates()[day] for day in np.flatnonzero(world.seen.missing > 0)}
    assert bad
    assert set(days.partial) == bad


def test_a_scanner_is_one_pod_and_mostly_unanswered():
    """The facts that screening lives on are in the frames."""
    world = make_world(SMALL)
    scans = {link.port for link in world.links if link.kind == "horizontal_scan" and not link.answered}
    rows = observe(world, 0, 14)
    scanned = rows.edge_days[rows.edge_days["port"].isin(sorted(scans)) & (rows.edge_days["port"] == 445)]
    assert len(scanned)
    assert (scanned["answered"] == 0).all()
    pods = rows.edge_pods[(rows.edge_pods["port"] == 445) & (rows.edge_pods["direction"] == "egress")]
    assert (pods["subject_pods"] == 1).all()
