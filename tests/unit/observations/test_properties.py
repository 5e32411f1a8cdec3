"""What must hold of any records: order, batches, duplicates of replies, names of pods (traps.md M)."""

from dataclasses import fields
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from models import frames
from tests.unit.observations.builders import (
    API,
    DNS,
    HOST,
    NODE,
    OUTSIDE,
    WEB,
    WEB2,
    End,
    answer_to,
    at,
    dns_answer,
    flow,
    observe,
    pod,
    world,
)

ENDS = [WEB, WEB2, API, DNS, HOST, NODE, OUTSIDE, world("198.51.100.4"), API.as_world(), WEB.nameless()]
_folders = count()
#: Each example writes and reads real tables: few of them, the same every time, and none shrunk.
FEW = settings(
    max_examples=8,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def records(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Requests, replies, drops and records that do not say which they are, over three days."""
    made = []
    for number in range(draw(st.integers(1, 14))):
        src, dst = draw(st.sampled_from(ENDS)), draw(st.sampled_from(ENDS))
        verdict = draw(st.sampled_from(["FORWARDED", "FORWARDED", "REDIRECTED", "AUDIT", "DROPPED"]))
        made.append(
            flow(
                src,
                dst,
                draw(st.sampled_from([53, 8080, 40001, 40002])),
                draw(st.sampled_from([53, 8080, 40001, 40002])),
                protocol=draw(st.sampled_from(["TCP", "UDP"])),
                is_reply=draw(st.sampled_from([False, False, True, None])),
                flags=draw(st.sampled_from(["S", "A", "SA", None])),
                seen_at=draw(st.sampled_from(["src", "dst", ""])),
                event=draw(st.sampled_from([1, 4, 5])),
                verdict=verdict,
                drop_reason="POLICY_DENIED" if verdict == "DROPPED" else "",
                time=at(37 * number, days=draw(st.integers(0, 2))),
                dst_names=draw(st.sampled_from(["", "", "api.example.com"])),
            )
        )
    return made


def frames_of(observed: frames.Observations) -> dict[str, pd.DataFrame]:
    """All frames by name."""
    return {
        field.name: getattr(observed, field.name)
        for field in fields(observed)
        if isinstance(getattr(observed, field.name), pd.DataFrame)
    }


def assert_same(one: frames.Observations, other: frames.Observations) -> None:
    """Byte for byte: values, order, dtypes."""
    for name, frame in frames_of(one).items():
        pd.testing.assert_frame_equal(frame, frames_of(other)[name], check_exact=True, obj=name)


@pytest.fixture
def fresh(tmp_path):
    """A new data directory for every fold of every example."""

    def make() -> Path:
        return tmp_path / str(next(_folders))

    return make


@FEW
@given(made=records(), seed=st.randoms(use_true_random=False), batches=st.integers(2, 4))
def test_order_and_batches_never_show(fresh, made, seed, batches):
    """Shuffled and split differently, the same records give the same frames."""
    answers = [dns_answer(WEB, "api.example.com", OUTSIDE.ip)]
    shuffled = list(made)
    seed.shuffle(shuffled)
    assert_same(observe(fresh(), made, answers), observe(fresh(), shuffled, answers, batches=batches))


@FEW
@given(made=records(), again=st.integers(1, 3))
def test_more_replies_change_nothing_but_answers(fresh, made, again):
    """Any number of replies of requests that were seen leaves every other column as it was."""
    clear = [r for r in made if r["is_reply"] is False and r["syn"] and not r["ack"]]
    replies = [answer_to(r) for r in clear if r["verdict"] == "FORWARDED" for _ in range(again)]
    columns = [name for name in frames.EDGE_DAYS if name not in ("answered", "reset", "replies_visible")]
    before, after = observe(fresh(), clear), observe(fresh(), [*clear, *replies])
    pd.testing.assert_frame_equal(before.edge_days[columns], after.edge_days[columns])


@FEW
@given(made=records())
def test_renaming_pods_and_addresses_changes_no_edge(fresh, made):
    """Pods come and go; edges are of workloads."""
    renamed = []
    for record in made:
        new = dict(record)
        for side in ("src", "dst"):
            if record[f"{side}_pod"]:
                new[f"{side}_pod"] = "renamed-" + record[f"{side}_pod"]
            if record[f"{side}_ip"].startswith("10.0."):
                new[f"{side}_ip"] = record[f"{side}_ip"].replace("10.0.", "10.55.")
        renamed.append(new)
    before, after = observe(fresh(), made).edge_days, observe(fresh(), renamed).edge_days
    # An address that no pod was seen with stays an address, and differs as it must.
    one, other = (days[days["peer_kind"] != "ip"].reset_index(drop=True) for days in (before, after))
    pd.testing.assert_frame_equal(one, other)


@FEW
@given(made=records())
def test_every_request_is_in_an_edge_or_set_aside(fresh, made):
    """Conservation: seen from one end only, the counts add up to the records."""
    egress = [r for r in made if r["is_reply"] is False and (r["syn"], r["ack"]) == (True, False)]
    seen = [r | {"src_id": 1, "dst_id": 0, "event_type": 4, "drop_reason": ""} for r in egress]
    seen = [r | {"verdict": "FORWARDED"} for r in seen]
    observed = observe(fresh(), seen)
    e = observed.edge_days
    # A contact of two pods has an edge at both: count it at its client.
    pods = e[(e["peer_kind"] != "endpoint") | (e["direction"] == "egress")]
    assert pods["flows"].sum() + observed.set_aside["flows"].sum() == len(seen)


@pytest.mark.parametrize(
    "name", ["EDGE_DAYS", "EDGE_PODS", "EDGE_ROUTES", "IDENTITIES", "PODS", "LOOKUPS", "COVERAGE"]
)
def test_frames_have_their_columns_and_dtypes(fresh, name):
    """What crosses into the models is what the models were told."""
    http = {"l7_kind": "http", "l7_type": "REQUEST", "http_method": "GET", "http_route": "/"}
    observed = observe(
        fresh(),
        [flow(WEB, API), flow(WEB, API, event=129, flags=None, **http)],
        [dns_answer(WEB, "a.example", "203.0.113.1")],
    )
    spec = getattr(frames, name)
    frame = getattr(observed, name.lower())
    assert len(frame)
    assert {column: str(kind) for column, kind in frame.dtypes.items()} == spec


def test_a_hostile_name_is_data(fresh):
    """Quotes and newlines in a label key or a cluster name reach the frames as they were."""
    odd = pod("o'dd\"-1", "10.0.0.77", key="o'dd\"; DROP TABLE edges; --\n")
    observed = observe(fresh(), [flow(odd, API)])
    assert odd.key in set(observed.edge_days["subject"])
    assert End("", "").key == ""
