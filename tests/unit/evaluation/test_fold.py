"""What a world renders is what the real store folds of its records, also where windows begin within a day."""

from dataclasses import replace

import pandas as pd
import pytest

from jobs.evaluation.render import EDGE, observe
from models.learning.days import observed_days
from tests.unit.evaluation.recorded import folded
from tests.unit.evaluation.tiny import PARAMETERS, odd_world, tiny_world

_FIRST, _LAST = 1, 6
_HOUR_US = 3600 * 1_000_000
#: Counts that the renderer makes itself; times are compared by the hour. Connections are not: the worlds count
#: those of UDP, too, and every figure so far was made of such worlds.
_COUNTED = ["peer_names", "names_from", "hour_bits", "flows", "answered", "denied", "dropped", "own_end"]


@pytest.fixture(scope="module", params=[0, 14], ids=["midnight", "14:00"])
def both(request, tmp_path_factory):
    """Rendered and folded observations of one window."""
    made = tiny_world(replace(PARAMETERS, hour=request.param))
    rendered = observe(made, _FIRST, _LAST)
    return rendered, folded(tmp_path_factory.mktemp("store"), made, _LAST, rendered.window)


def same(one: pd.DataFrame, other: pd.DataFrame, columns: list[str]) -> None:
    pd.testing.assert_frame_equal(one[columns].reset_index(drop=True), other[columns].reset_index(drop=True))


def test_edges_of_partial_days_hold_the_hours_of_the_window(both):
    """Keys, days, hours, counts and names of every edge-day."""
    rendered, real = (one.edge_days for one in both)
    same(rendered, real, ["cluster", *EDGE, "day", *_COUNTED])
    for end in ("first_us", "last_us"):
        assert (rendered[end] // _HOUR_US).tolist() == (real[end] // _HOUR_US).tolist()


def test_pods_of_edges_are_those_of_whole_days(both):
    """The table of pods knows no hours, so a window that begins within a day shows its pods from midnight on."""
    rendered, real = both
    same(rendered.edge_pods, real.edge_pods, ["cluster", *EDGE, "subject_pods", "peer_pods"])


def test_identities_and_pods_are_those_of_whole_days(both):
    """Who was there; when, by the day."""
    rendered, real = both
    pods = real.identities[real.identities["entity"] == ""]
    same(rendered.identities, pods, ["label_key", "labels", "namespace", "workload", "workload_kind"])
    shown = rendered.pods["pod"].isin(real.pods["pod"])
    assert rendered.pods.loc[~shown, "pod"].str.rsplit("-", n=2).str[0].tolist() == [
        "db"
    ]  # one of two was met
    columns = ["namespace", "pod", "label_key", "workload", "workload_kind"]
    same(rendered.pods[shown], real.pods, columns)
    assert (rendered.pods["first_us"] % (24 * _HOUR_US) == 0).all()
    assert real.pods["first_us"].min() < rendered.pods["first_us"].min() + 6 * _HOUR_US
    end = int(rendered.window.end.timestamp()) * 1_000_000
    assert rendered.pods["last_us"].max() == end - 1
    assert real.pods["last_us"].max() < end


def test_coverage_is_of_the_hours_of_the_window(both):
    """The first and the last day are partial ones where the window begins within a day."""
    rendered, real = (one.coverage for one in both)
    same(rendered, real, ["day", "hour", "nodes", "expected_nodes", "seconds", "lost_events"])
    assert observed_days(rendered).partial == observed_days(real).partial


@pytest.fixture(scope="module", params=[0, 14], ids=["midnight", "14:00"])
def odd(request, tmp_path_factory):
    """The same of a world with runs and with traffic that is no edge."""
    made = odd_world(replace(PARAMETERS, hour=request.param, owners_named=1.0))
    rendered = observe(made, _FIRST, _LAST)
    return rendered, folded(tmp_path_factory.mktemp("store"), made, _LAST, rendered.window)


def test_runs_are_rendered_as_they_are_folded(odd):
    """Each run has a label set, a pod and an owner of its own, of the whole of the first day."""
    rendered, real = odd
    same(rendered.edge_days, real.edge_days, ["cluster", *EDGE, "day", "hour_bits", "flows", "answered"])
    same(rendered.edge_pods, real.edge_pods, ["cluster", *EDGE, "subject_pods", "peer_pods"])
    columns = ["label_key", "labels", "namespace", "workload", "workload_kind"]
    same(rendered.identities, real.identities[real.identities["entity"] == ""], columns)
    same(rendered.pods, real.pods, ["namespace", "pod", "label_key", "workload", "workload_kind"])
    assert (real.pods["workload_kind"] == "Job").sum() >= 5


def test_what_is_no_edge_is_rendered_as_it_is_folded(odd):
    """The four ways in which wanted traffic is told as no edge, with their flows, days and counts."""
    rendered, real = (one.aside_edges for one in odd)
    assert set(real["reason"]) == {
        "ambiguous_direction",
        "reply_only",
        "service_without_known_pods",
        "unresolved",
    }
    same(rendered, real, ["cluster", "reason", *EDGE, "flows", "answered", "days"])
    for end in ("first_us", "last_us"):
        assert (rendered[end] // _HOUR_US).tolist() == (real[end] // _HOUR_US).tolist()
    idle = ("multicast", "no_pod")  # what nodes deliver while nobody calls
    counts = [one.set_aside[~one.set_aside["reason"].isin(idle)] for one in odd]
    same(*counts, ["cluster", "reason", "flows", "edges"])
