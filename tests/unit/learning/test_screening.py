"""Screening: what should be held back is, what should not is not, and everything ends somewhere."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import BadInputError, DefectError
from models.learning.cells import to_cells
from models.learning.incidence import DayIncidence
from models.learning.ledger import contributions, evidence_of
from models.learning.quarantine import ADMITTED, EXCLUDED, QUARANTINED, check_conservation, decide_fates
from models.learning.questions import question_features
from models.learning.scans import MAX_TESTS, scan_tests
from models.learning.screening import AGREED, CALIBRATED, PRIOR, Screening, leave_one_family_out
from models.learning.screening_features import FEATURES, Surroundings, screening_features
from tests.unit.learning.screened import DAY_US, DAYS, HOUR_US, TEAMS, WORKLOADS, screened
from tests.unit.learning.worlds import coverage, edge


def test_ordinary_traffic_is_hardly_held_back() -> None:
    """At most the stated five of a hundred cells, and no cell seen on four days or more."""
    for seed in range(3):
        cells = screened([], seed)
        assert (cells["reasons"] != "").mean() <= 0.05
        assert (cells.loc[cells["days_seen"] >= 4, "reasons"] == "").all()


def test_trap_J4_a_forwarded_scan_is_held_back() -> None:
    """Two hundred ports in an hour, a few of them open: none becomes a rule."""
    scan = [
        edge("w005", "victim", DAYS[9], port=1000 + i, answered=4 if i % 9 == 0 else 0,
             first_us=9 * DAY_US + i * 1000, pods=1)
        for i in range(200)
    ]  # fmt: skip
    cells = screened(scan)
    planted = cells["peer"] == "victim"
    assert (cells.loc[planted, "reasons"].str.contains("scan")).all()
    assert (cells.loc[~planted, "reasons"] != "").mean() <= 0.05


def test_a_scanner_asks_for_no_names() -> None:
    """Of two partners that the same replica called once, in the hour of a scan, one was called by its name."""
    scan = [
        edge("w005", "victim", DAYS[9], port=1000 + i, answered=0, first_us=9 * DAY_US + i * 1000, pods=1)
        for i in range(20)
    ]
    calls = [
        edge("w005", f"203.0.113.{number}", DAYS[9], peer_kind="ip", peer_names=name, pods=1,
             first_us=9 * DAY_US + 5000)
        for number, name in ((7, "partner.example"), (8, ""))
    ]  # fmt: skip
    cells = screened([*scan, *calls]).set_index("peer")["reasons"]
    assert "scan" not in cells["partner.example"]
    assert "scan" in cells["203.0.113.8"]


def test_trap_J5_debug_pods_and_orphans_are_held_back() -> None:
    """An ephemeral container, and a pod without a controller."""
    rows = [edge("dbg", "db", day, pods=1) for day in DAYS[:4]] + [
        edge("lone", "db", day, pods=1) for day in DAYS[6:8]
    ]
    rows += [edge("odd", "db", day, pods=1) for day in DAYS]
    around = Surroundings(debug=frozenset({"dbg"}), ownerless=frozenset({"lone", "odd"}))
    cells = screened(rows, around=around).set_index("subject")
    assert "debug_or_exec" in cells.loc["dbg", "reasons"]
    assert "ownerless_pod" in cells.loc["lone", "reasons"]
    assert cells.loc["odd", "reasons"] == ""  # fourteen days are no debugging session
    assert cells.loc["lone", "p_legit"] <= 0.5
    assert cells.loc["odd", "p_legit"] > 0.95
    said = cells.loc["lone", "said"]
    (cell,) = [cell for cell in said.score_.index if cell.startswith("lone|")]
    (owned,) = [item for item in said.evidence(cell) if item.name == "owned"]
    assert owned.log_odds == -4.0
    assert owned.because == "the pod has no controller and was there for a few days at most"


def test_trap_B12_what_nobody_ever_answered_is_held_back() -> None:
    """A misconfigured client of a dead target; unknown answers accuse nobody."""
    dead = [edge("w001", "dead", day, answered=0, pods=5) for day in DAYS]
    blind = [edge("w001", "blind", day, answered=0, replies_visible=False, pods=5) for day in DAYS]
    refused = [edge("w001", "refused", day, answered=4, reset=4, pods=5) for day in DAYS]
    cells = screened(dead + blind + refused).set_index("peer")
    assert "never_answered" in cells.loc["dead", "reasons"]
    assert "never_answered" in cells.loc["refused", "reasons"]
    assert cells.loc["blind", "reasons"] == ""
    assert np.isnan(cells.loc["blind", "fail"])


def test_trap_C1_dropped_only_traffic_is_held_back() -> None:
    """A drop is never evidence for an allow rule."""
    cells = screened([edge("w001", "walled", day, flows=0, denied=5, pods=5) for day in DAYS]).set_index(
        "peer"
    )
    assert "only_dropped" in cells.loc["walled", "reasons"]


def test_trap_J6_one_replica_of_many_beaconing_outside_scores_low() -> None:
    """Daily, named, from one of five replicas: below the same call from all five."""

    def beacon(pods: int) -> list[dict[str, object]]:
        where = {"peer_kind": "ip", "peer_names": "c2.example.net", "pods": pods, "flows": 50}
        return [edge("w001", "198.51.100.9", day, **where) for day in DAYS]

    lone, shared = (screened(beacon(pods)).set_index("peer").loc["c2.example.net"] for pods in (1, 5))
    assert lone["p_legit"] < shared["p_legit"]
    assert lone["concentration"] == 1.0
    assert shared["concentration"] == 0.0


def test_trap_J7_counts_do_not_buy_legitimacy() -> None:
    """A thousand times the packets on the same days and pods changes nothing for the better."""

    def call(flows: int) -> list[dict[str, object]]:
        return [edge("w001", "odd", day, flows=flows, pods=1) for day in DAYS[:2]]

    few, many = (screened(call(flows)).set_index("peer").loc["odd", "p_legit"] for flows in (100, 100_000))
    assert many <= few + 1e-9


def test_a_single_sighting_of_a_bare_address_is_a_rule_that_can_be_relaxed() -> None:
    """It holds back rare legitimate calls too, so a posture may do without it."""
    row = [edge("w001", "198.51.100.9", DAYS[5], peer_kind="ip", pods=1)]
    row += [edge("w001", "203.0.113.9", day, peer_kind="ip", peer_names="a.example.org") for day in DAYS]
    held = screened(row).set_index("peer").loc["198.51.100.9", "reasons"]
    assert "lone_sighting" in held
    relaxed = screened(row, lone_sighting=False).set_index("peer").loc["198.51.100.9", "reasons"]
    assert "lone_sighting" not in relaxed


@pytest.mark.parametrize(("hour", "held"), [(None, False), (5, False), (0, True), (1, True)])
def test_a_single_sighting_of_a_name_is_held_back_beside_another_first_and_last_call(
    hour: int | None, held: bool
) -> None:
    """A rare call is made by itself and goes before a reviewer with its rule; people do several things."""
    rows = by_hand(0)[:1] if hour is None else by_hand(hour)
    reasons = screened(rows).set_index("peer").loc["tools.example.net", "reasons"]
    assert ("lone_sighting" in reasons) == held


@pytest.mark.parametrize(("others", "held"), [(1, False), (2, True)])
def test_two_rare_calls_outside_meet_by_chance_and_three_do_not(others: int, held: bool) -> None:
    """Beside one to a workload inside, one is enough: that is how a tool is tried."""
    more = [
        edge("w001", f"203.0.{place}.9", DAYS[9], **{**OUTSIDE, "peer_names": f"more{place}.example.org"})
        for place in range(others)
    ]
    cells = screened([*by_hand(0)[:1], *more]).set_index("peer")
    assert ("lone_sighting" in cells.loc["tools.example.net", "reasons"]) == held


def test_the_oddest_by_evidence_need_the_second_channel_to_agree() -> None:
    """What looks like no attack is rare, not odd."""
    cells = screened(by_hand(0), lone_sighting=False)
    odd = cells.index[cells["reasons"].str.contains("low_evidence")]
    assert (cells["said"].iloc[0].attack_.loc[odd] > AGREED).all()


OUTSIDE = {"peer_kind": "ip", "pods": 1, "first_us": 9 * DAY_US, "pod": "w001-a"}


def by_hand(hour: int, pods: tuple[str, str] = ("w001-a", "w001-a")) -> list[dict[str, object]]:
    """One replica fetches something outside on day 9; one asks a store another team owns at some hour."""
    begun = 9 * DAY_US
    fetched, other = pods
    outside = {**OUTSIDE, "peer_names": "tools.example.net", "pod": fetched}
    store = {"port": 5432, "pods": 1, "flows": 2, "first_us": begun + hour * HOUR_US, "pod": other}
    return [edge("w001", "198.51.100.9", DAYS[9], **outside), edge("w001", "w030", DAYS[9], **store)]


@pytest.mark.parametrize(("hour", "odd"), [(0, True), (1, True), (5, False)])
def test_what_one_replica_did_once_beside_a_lone_call_outside_is_held_back(hour: int, odd: bool) -> None:
    """So people work who fetched their tools first; hours later it may be anything."""
    cells = screened(by_hand(hour))
    mine = cells.loc[(cells["peer"] == "w030") & (cells["port"] == 5432)]
    assert mine["reasons"].str.contains("beside_lone_sighting").tolist() == [odd]
    relaxed = screened(by_hand(hour), lone_sighting=False)
    assert not relaxed["reasons"].str.contains("beside_lone_sighting").any()
    apart = screened(by_hand(hour, ("w001-a", "w001-b")))
    assert not apart["reasons"].str.contains("lone_sighting").any()


def test_addresses_of_one_network_are_as_steady_as_the_network() -> None:
    """A partner behind an address a day is called on fourteen days, and the ledger says of what."""
    moving = [
        edge("w001", f"198.51.100.{day + 1}", DAYS[day], peer_kind="ip", port=8883, pods=5)
        for day in range(14)
    ]
    cells = screened(moving)
    mine = cells.loc[cells["port"] == 8883]
    assert (mine["days"] == 14).all()
    assert (mine["own_days"] == 1).all()
    assert (mine["reasons"] == "").all()
    said = mine["said"].iloc[0]
    sentences = [one.because for one in said.evidence(mine.index[0])]
    assert "seen on 14 days, with other addresses of the same network" in sentences


def test_strict_demands_two_kinds_of_evidence_outside() -> None:
    """Two days, two replicas, nobody else: one kind."""
    rows = [
        edge("w001", "198.51.100.9", day, peer_kind="ip", peer_names="x.example.net", pods=2)
        for day in DAYS[:2]
    ]
    said = screened(rows, two_evidence=True).set_index("peer").loc["x.example.net", "reasons"]
    assert "too_little_evidence" in said


def test_strict_asks_no_two_kinds_of_evidence_of_a_visitor() -> None:
    """Whoever comes in from the internet comes once: the port would be closed to all of them."""
    rows = [edge("w001", "198.51.100.9", DAYS[3], direction="ingress", peer_kind="ip")]
    said = screened(rows, two_evidence=True).set_index("peer").loc["198.51.100.9", "reasons"]
    assert "too_little_evidence" not in said


def test_popularity_never_counts_one_team_or_image_twice() -> None:
    """Ten workloads of one team, and ten of ten teams with one image, are no crowd."""
    rows = [edge(f"a{i}", "shared", day) for i in range(10) for day in DAYS[:2]]
    seen = DayIncidence().fit(to_cells(pd.DataFrame(rows)), coverage(DAYS))
    cells, days = seen.cells_, seen.days_
    names = [f"a{i}" for i in range(10)]
    one_team = Surroundings(teams=dict.fromkeys(names, "t"))
    one_image = Surroundings(teams={n: n for n in names}, images=dict.fromkeys(names, "sha"))
    apart = Surroundings(teams={n: n for n in names})
    assert screening_features(cells, one_team, days)["popularity"].eq(0).all()
    assert screening_features(cells, one_image, days)["popularity"].eq(0).all()
    assert screening_features(cells, apart, days)["popularity"].eq(9).all()


def test_a_new_image_puts_its_new_outside_calls_on_the_review_list() -> None:
    """A trojaned image on all replicas looks like its workload; a person has to look at what came with it."""

    def calls(name: str, first: int) -> list[dict[str, object]]:
        return [
            edge("w001", f"198.51.100.{first}", DAYS[day], peer_kind="ip", peer_names=name, pods=5)
            for day in range(first, 14)
        ]

    rollout = 5 * DAY_US + 8 * DAY_US // 24
    around = Surroundings(new_images=frozenset({"w001"}), rolled_out={"w001": (rollout,)})
    cells = screened([*calls("new.example.net", 5), *calls("old.example.org", 2)], around=around)
    reviewed = cells.set_index("peer")["review"]
    assert reviewed["new.example.net"]
    assert not reviewed["old.example.org"]
    assert not cells.loc[cells["subject"] != "w001", "review"].any()


def test_what_one_replica_of_five_began_is_held_back_and_what_all_began_is_not() -> None:
    """A release changes every replica; a beacon on one of them is no release."""
    around = Surroundings(replicas=dict.fromkeys(WORKLOADS, 5), teams=TEAMS)
    days = range(4, 14)
    beacon = [
        edge(
            "w001",
            "203.0.113.9",
            DAYS[day],
            peer_kind="ip",
            peer_names="cdn.example.net",
            pods=1,
            hour_bits=0xFFFFF,
        )
        for day in days
    ]
    release = [
        edge(
            "w002",
            "203.0.113.8",
            DAYS[day],
            peer_kind="ip",
            peer_names="api.example.org",
            pods=5,
            hour_bits=0xFFFFF,
        )
        for day in days
    ]
    leader = [
        edge(
            "w003",
            "203.0.113.7",
            day,
            peer_kind="ip",
            peer_names="old.example.com",
            pods=1,
            hour_bits=0xFFFFF,
        )
        for day in DAYS
    ]
    reasons = screened([*beacon, *release, *leader], around=around).set_index("peer")["reasons"]
    assert "one_replica_began" in reasons["cdn.example.net"].split(";")
    assert reasons["api.example.org"] == ""
    assert "one_replica_began" not in reasons["old.example.com"].split(";")


def test_several_strangers_in_one_hour_are_held_back_and_one_is_not() -> None:
    """An intruder looks around; a new dependency comes alone, or stays."""
    around = Surroundings(replicas=dict.fromkeys(WORKLOADS, 1), teams=TEAMS)
    others = [name for name in WORKLOADS if TEAMS[name] != TEAMS["w001"]][:4]
    burst = [edge("w001", other, DAYS[6], port=9999, pods=1) for other in others]
    single = [edge("w002", WORKLOADS[3], DAYS[6], port=9999, pods=1)]
    lasting = [edge("w005", other, DAYS[day], port=7777, pods=1) for other in others for day in range(6, 14)]
    cells = screened([*burst, *single, *lasting], around=around)
    odd = cells["reasons"].str.contains("strangers_at_once")
    assert set(cells.loc[odd, "subject"]) == {"w001"}
    assert odd.sum() == len(burst)


@pytest.mark.parametrize(("pods", "held"), [(1, True), (5, False)])
def test_strangers_that_several_replicas_meet_are_no_burst_of_an_intruder(pods: int, held: bool) -> None:
    """Where no label tells workloads apart, the rare calls of one are those of all."""
    around = Surroundings(teams=TEAMS)
    others = [name for name in WORKLOADS if TEAMS[name] != TEAMS["w001"]][:3]
    met = [edge("w001", other, day, port=9999, pods=pods) for other in others for day in DAYS[12:]]
    odd = screened(met, around=around)["reasons"].str.contains("strangers_at_once")
    assert odd.sum() == (len(others) if held else 0)


@pytest.mark.parametrize(("hours", "held"), [(8, True), (9, False)])
def test_strangers_that_are_called_all_day_are_a_release(hours: int, held: bool) -> None:
    """Somebody looks at a thing for hours; only a program works through the day."""
    others = [name for name in WORKLOADS if TEAMS[name] != TEAMS["w001"]][:3]
    met = [
        edge("w001", other, day, port=9999, pods=1, hour_bits=(1 << hours) - 1)
        for other in others
        for day in DAYS[12:]
    ]
    odd = screened(met)["reasons"].str.contains("strangers_at_once")
    assert odd.sum() == (len(others) if held else 0)


_AN_HOUR, _ALL_DAY = 1, 0xFFFFF


@pytest.mark.parametrize(
    ("targets", "days", "pods", "hours", "odd"),
    [
        (5, (6,), 1, _AN_HOUR, True),
        (4, (6,), 1, _AN_HOUR, False),
        (5, (6, 9), 1, _AN_HOUR, False),
        (5, (6,), 3, _AN_HOUR, False),
        (5, (0,), 1, _AN_HOUR, False),
        (5, (6,), 1, _ALL_DAY, False),
    ],
)
def test_a_sweep_that_all_answer_is_held_back(
    targets: int, days: tuple[int, ...], pods: int, hours: int, odd: bool
) -> None:
    """Five of its own team at once by one replica, once: not four, nor again, nor by all, nor at the start."""
    mates = [name for name in WORKLOADS if TEAMS[name] == TEAMS["w001"] and name != "w001"][:targets]
    sweep = [
        edge("w001", mate, DAYS[day], port=9999, pods=pods, flows=1, hour_bits=hours)
        for mate in mates
        for day in days
    ]
    cells = screened(sweep)
    found = cells["reasons"].str.contains("many_at_once")
    assert set(cells.loc[found, "peer"]) == (set(mates) if odd else set())


def test_the_ledger_adds_up_and_has_a_sentence_each() -> None:
    """The score is the sum of the terms that are shown."""
    cells = screened([edge("w001", "odd", DAYS[3], answered=0, pods=1)])
    cell = cells.index[cells["peer"] == "odd"][0]
    said = cells["said"].iloc[0]
    evidence = said.evidence(cell)
    assert np.isclose(sum(item.log_odds for item in evidence), said.score_[cell])
    assert all(item.because and item.name in FEATURES for item in evidence)
    assert "100% of the attempts failed" in [item.because for item in evidence]


def test_p_legit_says_that_it_is_a_prior_until_fifty_verdicts() -> None:
    """And follows the verdicts from then on."""
    cells = screened([])
    flags = (
        "scan tunnel generated new_image one_replica unreleased strangers many company accompanied names_seen brief "
        "stranger strange_days party_days own_days pods single_replica only_failed only_dropped destination"
    )
    facts = cells[[*FEATURES, *flags.split()]]
    few = pd.Series("admit", index=cells.index[:49])
    many = pd.Series("unwanted", index=cells.index[:80]).where(np.arange(80) % 2 == 0, "admit")
    assert Screening().fit(facts, 14, few).provenance_ == PRIOR
    taught = Screening().fit(facts, 14, many)
    assert taught.provenance_ == CALIBRATED
    assert taught.p_legit_.mean() < Screening().fit(facts, 14).p_legit_.mean()


def test_each_family_is_found_without_having_been_seen() -> None:
    """Leave one out, on planted facts: an upper bound, and the floors of the method are below it."""
    cells = screened([])
    recall = leave_one_family_out(cells, 14)["recall"]
    assert recall[["dns_tunnel", "debug", "horizontal_scan"]].min() >= 0.7
    assert recall[["beacon", "lateral_movement", "saas_beacon", "miner"]].min() >= 0.5


@given(st.sampled_from(FEATURES), st.floats(0, 1), st.floats(0, 1))
def test_worse_facts_never_add_more(name: str, low: float, high: float) -> None:
    """Each weight has one direction."""
    worse = {
        "external",
        "concentration",
        "fail",
        "breadth",
        "entropy",
        "nxdomain",
        "regularity",
        "upload",
        "debug",
    }
    low, high = sorted((low, high))
    base = dict.fromkeys(FEATURES, 0.5)
    scale = 5 if name in {"days", "breadth", "entropy", "popularity"} else 1
    terms = contributions(pd.DataFrame([base | {name: low * scale}, base | {name: high * scale}]))[name]
    assert (terms[1] <= terms[0] + 1e-12) if name in worse else (terms[1] >= terms[0] - 1e-12)


def contacts(
    outcomes: list[float], days: int = 9, *, alone: bool = True, no_probe: bool = False, pods: str = ""
) -> pd.DataFrame:
    """First contacts of one origin, in order; a letter of ``pods`` for each, and a dot where none is known."""
    places = range(len(outcomes))
    columns = {
        "origin": "o",
        "first_us": places,
        "hour": places,
        "fail": outcomes,
        "days": days,
        "met": False,
    }
    pod = [name.strip(".") for name in pods] or ""
    columns |= {"alone": alone, "no_probe": no_probe, "pod": pod}
    return pd.DataFrame(columns, index=[f"c{place:02d}" for place in places])


def flags(frame: pd.DataFrame) -> pd.Series:
    """Which contacts are part of a scan."""
    return scan_tests(frame) > 0


def test_the_sequential_test_flags_at_a_likelihood_ratio_of_a_hundred() -> None:
    """Four misses in a row; three are bad luck; a long good past gives no credit."""
    assert flags(contacts([1.0] * 4)).all()
    assert not flags(contacts([1.0] * 3)).any()
    assert not flags(contacts([1.0, 0.0] * 10)).any()
    assert flags(contacts([0.0] * 20 + [1.0] * 4)).tolist() == [False] * 20 + [True] * 4
    assert not flags(contacts([float("nan")] * 10)).any()


def test_what_several_pods_did_is_not_what_a_scanner_hit() -> None:
    """Five misses, and between them a success on one day: suspicious of one pod, and not of three."""
    outcomes = [1.0, 1.0, 0.0, 1.0, 1.0, 1.0]
    assert flags(contacts(outcomes, days=1)).all()
    hit = flags(contacts(outcomes, days=1, alone=False))
    assert hit.tolist() == [True, True, False, True, True, True]


def test_what_goes_on_all_day_is_not_what_a_scanner_hit() -> None:
    """A new dependency that was released on the day of a scan; what it missed stays a miss."""
    hit = flags(contacts([1.0, 1.0, 0.0, 1.0, 1.0, 1.0], days=1, no_probe=True))
    assert hit.tolist() == [True, True, False, True, True, True]


def test_a_pod_that_missed_nothing_is_no_scanner() -> None:
    """Its rare call among a mate's misses is its own; what nobody can be named for may be the scanner's."""
    outcomes = [1.0, 1.0, 0.0, 1.0, 1.0, 1.0]
    assert flags(contacts(outcomes, 1, pods="aabaaa")).tolist() == [True, True, False, True, True, True]
    assert flags(contacts(outcomes, 1, pods="aaaaaa")).all()
    assert flags(contacts(outcomes, 1, pods="aa.aaa")).all()
    assert flags(contacts(outcomes, 1, pods=".abaaa")).all()


@pytest.mark.parametrize(
    ("pause", "ahead", "found"),
    [(12, 11, True), (12, 13, False), (60, 47, True), (60, 49, False), (0.01, 0.9, True), (0.01, 1.1, False)],
)
def test_a_scan_begins_before_its_first_flagged_miss(pause: float, ahead: float, found: bool) -> None:
    """One early success took the walk back to zero; what lies many of its pauses before is another matter."""
    frame = contacts([1.0, 0.0] + [1.0] * 5, days=1)
    hours = np.array([0.0, 0.001, *(ahead + 0.001 + pause * np.arange(5))])
    frame["first_us"] = (hours * HOUR_US).astype(np.int64)
    assert flags(frame).tolist() == [found, found] + [True] * 5


@pytest.mark.parametrize(("misses", "gap", "found"), [(7, 23, True), (7, 25, False), (5, 11, False)])
def test_a_scan_beyond_doubt_goes_on_after_its_walk_is_back_at_zero(
    misses: int, gap: float, found: bool
) -> None:
    """Misses twelve hours apart, successes that take the walk back, and one more not long after."""
    frame = contacts([1.0] * misses + [0.0] * (misses + 1), days=1)
    end = 12.0 * (misses - 1) + 0.5
    hours = [*(12.0 * np.arange(misses)), *([end] * misses), end + gap]
    frame["first_us"] = (np.array(hours) * HOUR_US).astype(np.int64)
    assert flags(frame).tolist() == [True] * (2 * misses) + [found]


@pytest.mark.parametrize(("column", "value"), [("days", 3), ("alone", False), ("no_probe", True)])
def test_a_scan_reaches_back_from_one_lone_contact_to_the_next(column: str, value: object) -> None:
    """What cannot be a scanner's carries it no further, so that a scan does not eat up a steady week."""
    frame = contacts([1.0, 0.0, 1.0, 0.0, *([1.0] * 7)], days=1)
    misses = 38 + 12 * np.arange(7)
    frame["first_us"] = (np.array([0, 1, 26, 27, *misses]) * HOUR_US).astype(np.int64)
    assert flags(frame).tolist() == [False, False] + [True] * 9
    frame["first_us"] = (np.array([9, 10, 26, 27, *misses]) * HOUR_US).astype(np.int64)
    assert flags(frame).all()
    frame.loc[["c02", "c03"], column] = value
    assert not flags(frame).loc[["c00", "c01"]].any()


def test_what_was_met_before_is_no_first_contact() -> None:
    """A client of a holder that hands out a new address each day scans no less for it."""
    frame = contacts([1.0, 0.0] * 6, days=9)
    assert not flags(frame).any()
    frame["met"] = frame["fail"] == 0.0
    assert flags(frame).tolist() == [True, False] * 6
    frame["met"] = frame["fail"] == 1.0
    assert not flags(frame).any()


def test_a_scan_speaks_for_itself_the_louder_the_longer_it_is() -> None:
    """Four misses are 256 to 1, five are a thousand to one; a wanted call may still be among a million."""
    assert scan_tests(contacts([1.0] * 3)).tolist() == [0.0] * 3
    assert scan_tests(contacts([1.0] * 4)).tolist() == pytest.approx([math.log(256, 100)] * 4)
    assert scan_tests(contacts([1.0] * 5 + [0.0])).tolist() == pytest.approx(
        [math.log(1024, 100)] * 5 + [0.0]
    )
    assert scan_tests(contacts([1.0] * 50)).tolist() == [MAX_TESTS] * 50


@pytest.mark.parametrize(("pod", "told"), [("w001-a", "(w001-a)"), ("x" * 100_000, f"({'x' * 253})")])
def test_the_ledger_names_the_only_pod_and_no_novel(pod: str, told: str) -> None:
    """Whoever looks for it needs the name; what calls itself a pod may be as long as a record."""
    cells = screened(by_hand(0, (pod, pod)))
    cell = cells.index[cells["peer"] == "tools.example.net"][0]
    sentence = next(
        one.because for one in cells["said"].iloc[0].evidence(cell) if one.name == "concentration"
    )
    assert sentence == f"seen from 1 of 5 replicas {told}"


@pytest.mark.parametrize(
    ("pods", "replicas", "leader", "told"),
    [
        (
            1.0,
            50.0,
            True,
            "seen from 1 of 50 replicas; the workload is taken to elect a leader, so this says nothing",
        ),
        (1.0, 2.0, False, "seen from 1 of 2 replicas; of so few this says nothing"),
        (1.0, 50.0, False, "seen from 1 of 50 replicas; of so few calls this says nothing"),
        (np.nan, 50.0, False, "how many replicas show it is unknown"),
    ],
)
def test_a_share_of_replicas_that_says_nothing_says_why_it_weighs(
    pods: float, replicas: float, leader: bool, told: str
) -> None:
    """One of fifty replicas counted in favour, and nobody was told why."""
    facts = dict.fromkeys(FEATURES, np.nan) | {
        "concentration": 0.5,
        "owned": 1.0,
        "days": 5.0,
        "own_days": 5.0,
    }
    facts |= {"pods": pods, "replicas": replicas, "pod": "", "leader": leader}
    weights = contributions(pd.DataFrame([facts])).iloc[0].to_dict()
    assert weights["concentration"] == pytest.approx(0.5)
    said = {one.name: one.because for one in evidence_of(facts, weights)}
    assert said["concentration"] == f"{told}, which is weighed as a middling share of them"


def test_successes_of_its_mates_do_not_hide_a_scanner() -> None:
    """Every miss is undone by a first contact that another pod made; the test is of one host."""
    outcomes = [1.0, 0.0] * 5
    assert not flags(contacts(outcomes, 1)).any()
    assert flags(contacts(outcomes, 1, pods="ab" * 5)).tolist() == [True, False] * 5


def tunnels(count: int, names: int) -> list[tuple[str, str, int, int]]:
    """Workloads that each ask for so many random labels under a domain of their own."""
    rng = np.random.default_rng(0)
    alphabet = np.array(list("abcdefghijklmnopqrstuvwxyz234567"))
    return [
        (f"t{place}", "".join(rng.choice(alphabet, 40)) + f".evil{place}.net", 0, 1)
        for place in range(count)
        for _ in range(names)
    ]


@pytest.mark.parametrize("days", [14, 28, 90])
def test_tunnels_hide_neither_each_other_nor_in_a_long_window(days: int) -> None:
    """Three of a few hundred pairs are the top of the estate together; three days of work in a quarter."""
    plain = [(f"w{place}", f"api.example{place}.com", 0, 90) for place in range(300)]
    frame = pd.DataFrame([*tunnels(3, 300), *plain], columns=["subject", "name", "rcode", "lookups"])
    features = question_features(frame, days)
    found = features.index[features["flagged"]].tolist()
    assert found == [("t0", "evil0.net"), ("t1", "evil1.net"), ("t2", "evil2.net")]


def test_a_chatty_estate_has_a_higher_limit() -> None:
    """Where every tenth workload crawls hundreds of hosts, hundreds of hosts are no tunnel."""
    crawls = [
        (f"w{place}", f"host{host}.example{place}.com", 0, 3) for place in range(60) for host in range(600)
    ]
    features = question_features(pd.DataFrame(crawls, columns=["subject", "name", "rcode", "lookups"]), 14)
    assert (features["rate"] > 10.0).all()
    assert not features["flagged"].any()


def test_a_tunnel_carries_bits_and_a_cdn_does_not() -> None:
    """Five hundred random labels under one domain, against an estate that asks for names."""
    rng = np.random.default_rng(0)
    alphabet = np.array(list("abcdefghijklmnopqrstuvwxyz234567"))
    tunnel = [("w1", "".join(rng.choice(alphabet, 50)) + ".t.evil.net", 0, 1) for _ in range(500)]
    plain = [
        (f"w{i}", f"{host}.example{i}.com", 0, 90) for i in range(40) for host in ("api", "www", "cdn-3")
    ]
    frame = pd.DataFrame([*tunnel, *plain], columns=["subject", "name", "rcode", "lookups"])
    features = question_features(frame, 14)
    assert features.index[features["flagged"]].tolist() == [("w1", "evil.net")]
    assert features.loc[("w1", "evil.net"), "entropy"] > 3.5
    assert not question_features(frame.iloc[500:], 14)["flagged"].any()


def test_generated_domains_are_known_by_their_misses() -> None:
    """Thirty random domains, one of which resolves; search-list expansions are no such thing."""
    rng = np.random.default_rng(1)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    names = ["".join(rng.choice(letters, 16)) + ".com" for _ in range(30)]
    rows = [("w1", name, 0 if i == 0 else 3, 1) for i, name in enumerate(names)]
    rows += [("w2", f"api{i}.example.com.shop.svc.cluster.local", 3, 5) for i in range(30)]
    rows += [("w2", "api.example.com", 0, 50)]
    features = question_features(pd.DataFrame(rows, columns=["subject", "name", "rcode", "lookups"]), 14)
    assert features.loc[("w1", names[0]), "generated"]
    assert not features.loc[("w2", "example.com"), "generated"]
    calls = [edge("w1", "198.51.100.1", DAYS[3], peer_kind="ip", peer_names=names[0])]
    seen = DayIncidence().fit(to_cells(pd.DataFrame(calls)), coverage(DAYS))
    facts = screening_features(seen.cells_, Surroundings(questions=features), seen.days_)
    assert "generated_name" in Screening().fit(facts, 14).reasons_.iloc[0]


REASONS = pd.Series({"a": "", "b": "scan", "c": "", "d": "scan;low_evidence"})


def test_verdicts_overrule_and_speak_for_one_cell_only() -> None:
    """Admit, unwanted, and ask again later."""
    verdicts = pd.Series({"b": "admit", "c": "unwanted", "d": "later"})
    fates = decide_fates(REASONS, pd.Series({"a": "node_probe"}), verdicts)
    assert fates["fate"].to_dict() == {"a": EXCLUDED, "b": ADMITTED, "c": EXCLUDED, "d": QUARANTINED}
    assert fates["reasons"].to_dict() == {
        "a": "node_probe",
        "b": "",
        "c": "reviewed_unwanted",
        "d": "scan;low_evidence",
    }


def test_a_flip_to_admitted_waits_one_night() -> None:
    """Held back last night, admissible tonight: admitted tomorrow, unless a person said so."""
    first = decide_fates(REASONS)
    cleared = pd.Series(dict.fromkeys(REASONS.index, ""))
    second = decide_fates(cleared, previous=first)
    assert second["fate"].to_dict() == {"a": ADMITTED, "b": QUARANTINED, "c": ADMITTED, "d": QUARANTINED}
    assert set(second.loc[["b", "d"], "reasons"]) == {"waits_one_night"}
    third = decide_fates(cleared, previous=second)
    assert (third["fate"] == ADMITTED).all()
    spoken = decide_fates(cleared, verdicts=pd.Series({"b": "admit"}), previous=first)
    assert spoken.loc["b", "fate"] == ADMITTED


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.tuples(st.integers(0, 99), st.booleans()))
)
def test_every_cell_ends_in_one_place_and_flows_add_up(cells: dict[str, tuple[int, bool]]) -> None:
    """The conservation law, and what breaks it is named."""
    frame = pd.DataFrame({"flows": [n for n, _ in cells.values()]}, index=list(cells), dtype="int64")
    reasons = pd.Series({cell: "scan" if odd else "" for cell, (_, odd) in cells.items()}, dtype="str")
    fates = decide_fates(reasons.reindex(frame.index))
    total = int(frame["flows"].sum())
    assert sum(check_conservation(frame, fates, total).values()) == total
    with pytest.raises(DefectError, match="flows came in"):
        check_conservation(frame, fates, total + 1)
    if len(frame):
        with pytest.raises(DefectError, match="same cells"):
            check_conservation(frame, fates.iloc[1:], total)
        with pytest.raises(DefectError, match="unknown fate"):
            check_conservation(frame, fates.assign(fate="lost"), total)


def test_a_cell_listed_twice_is_refused() -> None:
    """It can end in one place only."""
    with pytest.raises(BadInputError, match="twice"):
        decide_fates(pd.Series(["", ""], index=["a", "a"]))
