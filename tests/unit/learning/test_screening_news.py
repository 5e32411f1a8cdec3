"""Screening: what is new, and what explains it."""

from __future__ import annotations

import pandas as pd
import pytest

from models.learning.questions import question_features
from models.learning.scans import scan_tests
from models.learning.screening_features import Surroundings
from tests.unit.learning.screened import DAY_US, DAYS, HOUR_US, TEAMS, WORKLOADS, screened
from tests.unit.learning.worlds import coverage, edge

#: Every hour of a day.
ALL_DAY = 0xFFFFFF


def call(
    name: str, days: range | list[int], subject: str = "w001", pods: int = 1, **columns: object
) -> list[dict[str, object]]:
    """Edges to a name outside, from so many pods."""
    outside = {"peer_kind": "ip", "peer_names": name, "pods": pods}
    return [edge(subject, "198.51.100.9", DAYS[day], **outside, **columns) for day in days]


def calls_home(name: str, days: range | list[int], **columns: object) -> list[dict[str, object]]:
    """The same at every hour."""
    return call(name, days, **{"hour_bits": ALL_DAY, **columns})  # type: ignore[arg-type]


def reasons(rows: list[dict[str, object]], **options: object) -> dict[str, str]:
    """Why each peer of w001 is held back."""
    cells = screened(rows, **options)
    mine = cells[cells["subject"] == "w001"]
    return dict(zip(mine["peer"], mine["reasons"], strict=True))


def test_an_intruder_makes_no_leader_of_the_workload_he_broke_into() -> None:
    """Much that one replica does later is no leadership; what it does from the first day on is."""
    late = [
        edge("w900", f"db{place}", DAYS[9], pods=1, flows=40, port=5432, first_us=9 * DAY_US)
        for place in range(4)
    ]
    early = [
        edge("w901", f"db{place}", day, pods=1, flows=40, port=5432) for place in range(4) for day in DAYS
    ]
    always = [edge(subject, "cache", day, pods=5, port=6379) for subject in ("w900", "w901") for day in DAYS]
    replicas = dict.fromkeys([*WORKLOADS, "w900", "w901"], 5)
    around = Surroundings(replicas=replicas, teams=TEAMS)
    cells = screened([*late, *early, *always], around=around)
    single = cells[cells["port"] == 5432].groupby("subject")["single_replica"].all()
    assert single["w900"]
    assert not single["w901"]


def test_a_name_as_long_as_those_asked_for_in_vain_is_generated_whatever_its_letters() -> None:
    """Random letters repeat themselves now and then; a shorter name of the same workload is no such thing."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    vain = [f"{letters[place:]}{letters[:place]}"[:14] + ".com" for place in range(12)]
    reached = ("aaabbbcccaaabb.com", "banana.com")
    rows = [("w001", name, 3, 1) for name in vain] + [("w001", name, 0, 1) for name in reached]
    rows += [("w002", reached[0], 0, 1)]
    questions = question_features(pd.DataFrame(rows, columns=["subject", "name", "rcode", "lookups"]), 14)
    around = Surroundings(replicas=dict.fromkeys(WORKLOADS, 5), teams=TEAMS, questions=questions)
    calls = [row for name in reached for row in call(name, [8], flows=1)]
    found = reasons([*calls, *call(reached[0], [8], subject="w002", flows=1)], around=around)
    assert "generated_name" in found[reached[0]].split(";")
    assert "generated_name" not in found[reached[1]].split(";")
    assert not questions.loc[("w002", reached[0]), "generated"]


@pytest.mark.parametrize(
    ("names", "days", "held"), [(True, [8], True), (False, [8], False), (False, [8, 10], True)]
)
def test_a_nameless_call_is_odd_where_others_have_names_or_it_is_not_the_only_one(
    names: bool, days: list[int], held: bool
) -> None:
    """Where no DNS is seen nothing has a name: then a rare call is the only one of its workload."""
    strangers = [
        edge("w900", f"192.0.{place}.1", DAYS[day], peer_kind="ip", pods=1, flows=1)
        for place, day in enumerate(days)
    ]
    daily = call("api.example.net" if names else "", range(14), subject="w900", pods=5)
    around = Surroundings(replicas=dict.fromkeys([*WORKLOADS, "w900"], 5), teams=TEAMS)
    cells = screened([*strangers, *daily], around=around).set_index("peer")
    odd = cells.loc["192.0.0.1", "reasons"].split(";")
    assert ("lone_sighting" in odd) == held


@pytest.mark.parametrize("there", [range(14), range(9, 10)])
def test_a_name_that_a_scanner_calls_is_his_where_nothing_else_would_tell(there: range) -> None:
    """Who is new, or there for a day, makes no lone call: then what he called within a scan is part of it."""
    day = 9 if len(there) > 1 else there[0]
    old = [edge("w900", "db", DAYS[one], port=5432, pods=1) for one in there]
    scan = [
        edge("w900", "victim", DAYS[day], port=1000 + i, answered=0, first_us=day * DAY_US + i, pods=1)
        for i in range(20)
    ]
    drop = call("drop.example.net", [day], subject="w900", first_us=day * DAY_US + 30)
    cells = screened([*old, *scan, *drop]).set_index("peer")["reasons"]
    assert ("scan" in cells["drop.example.net"].split(";")) == (len(there) == 1)
    assert cells["drop.example.net"] != ""


def test_few_replicas_by_accident_are_expected_among_many_rare_calls() -> None:
    """One chance in 625 is no proof where hundreds of calls are tested; a day of calls is."""
    rare = call("rare.example.net", [4, 6, 8, 10, 12], flows=1)
    others = [
        row
        for place, subject in enumerate(WORKLOADS[2:52])
        for row in call(f"r{place}.example.org", [8], subject=subject, flows=1)
    ]
    assert "one_replica_began" in reasons(rare)["rare.example.net"].split(";")
    assert "one_replica_began" not in reasons([*rare, *others])["rare.example.net"].split(";")
    busy = call("busy.example.net", range(4, 14), flows=40, hour_bits=0xFFFFF)
    assert "one_replica_began" in reasons([*busy, *others])["busy.example.net"].split(";")


@pytest.mark.parametrize(("days", "held"), [([9], False), ([3, 9], True)])
def test_who_was_there_on_one_day_did_everything_on_it(days: list[int], held: bool) -> None:
    """A monthly job that ran once called its store once; who was there on other days could have called again."""
    job = call("api.example.net", days, subject="job")
    store = [edge("job", "198.51.100.77", DAYS[9], peer_kind="ip", pods=1)]
    cells = screened([*job, *store]).set_index("peer")
    assert ("lone_sighting" in cells.loc["198.51.100.77", "reasons"].split(";")) == held


def test_a_scanner_that_calls_a_holder_it_knows_scans_something_else() -> None:
    """Between the misses of a run lies a call to a holder that was met on other days."""
    places = range(6)
    frame = pd.DataFrame(
        {
            "origin": "o",
            "first_us": places,
            "hour": places,
            "fail": [1.0, 1.0, 0.0, 0.0, 1.0, 1.0],
            "days": [1, 1, 5, 1, 1, 1],
            "met": False,
            "alone": True,
            "no_probe": False,
            "pod": "",
        },
        index=[f"c{place}" for place in places],
    )
    frame.loc["c5", "hour"] = frame.loc["c0", "hour"]
    more = pd.concat([frame, frame.assign(first_us=frame["first_us"] + 10).rename(index=lambda c: f"{c}x")])
    assert (scan_tests(more) > 0).loc[["c2", "c3"]].tolist() == [False, True]


def test_ports_that_a_session_hands_out_are_no_scan() -> None:
    """A client of an FTP server is handed a new port each time, also in the week in which it scans."""
    rows = [
        edge("w900", "ftp", DAYS[day], port=port, pods=1, first_us=day * DAY_US + place * 1000)
        for day in (3, 9)
        for place, port in ((0, 21), (40, 50_000 + day))
    ]
    scan = [
        edge(
            "w900", f"t{place}", DAYS[9], port=4444, pods=1, answered=0, first_us=9 * DAY_US + 20_000 + place
        )
        for place in range(30)
    ]
    hit = [edge("w900", "web", DAYS[9], port=8080, pods=1, first_us=9 * DAY_US + 25_000)]
    cells = screened([*rows, *scan, *hit]).set_index(["peer", "port"])
    assert cells.loc[("web", 8080), "scan"]
    assert not cells.loc[("ftp", 50_009), "scan"]


def test_another_name_of_a_known_holder_is_no_new_destination() -> None:
    """A content network gives out new names all the time; only a new holder came with the release."""
    rollout = 5 * DAY_US + 8 * HOUR_US
    around = Surroundings(new_images=frozenset({"w001"}), rolled_out={"w001": (rollout,)})
    known = [
        *call("edge-1.example.net", range(1, 5), pods=5),
        *call("edge-2.example.net", range(5, 14), pods=5),
    ]
    new = [*call("a.example.org", range(5, 14), pods=5), *call("b.example.org", range(12, 14), pods=5)]
    review = screened([*known, *new], around=around).set_index("peer")["review"]
    assert not review["edge-2.example.net"]
    assert review["a.example.org"]
    assert review["b.example.org"]


@pytest.mark.parametrize(
    ("replicas", "rollouts", "known", "held"),
    [
        (1, (), False, True),
        (None, (), False, True),
        (1, (2,), False, True),
        (1, (6,), False, False),
        (1, (4,), False, False),
        (5, (), False, False),
        (1, (), True, False),
        (1, None, False, False),
    ],
)
def test_what_began_without_a_release_and_stays_is_held_back(
    replicas: int | None, rollouts: tuple[int, ...] | None, known: bool, held: bool
) -> None:
    """Of one replica, or nobody knows how many; where releases would show, and none did; of a new holder."""
    counts = dict.fromkeys(WORKLOADS, 5) | {"w001": replicas}
    around = Surroundings(
        replicas={name: count for name, count in counts.items() if count is not None},
        teams=TEAMS,
        rolled_out={} if rollouts is None else {"w001": tuple(day * DAY_US for day in rollouts)},
    )
    news = calls_home("api.example.net", range(6, 14), pods=replicas or 1)
    before = calls_home("www.example.net", range(3), pods=replicas or 1) if known else []
    found = reasons([*news, *before], around=around)["api.example.net"]
    assert ("began_without_release" in found.split(";")) == held


@pytest.mark.parametrize(("pods", "held"), [(1, True), (3, True), (4, False)])
def test_many_pods_are_several_replicas_although_nobody_knows_how_many(pods: int, held: bool) -> None:
    """One pod may have been replaced twice; four did not begin by accident of one that was taken over."""
    replicas = {name: 5 for name in WORKLOADS if name != "w001"}
    around = Surroundings(replicas=replicas, teams=TEAMS, rolled_out={"w001": ()})
    found = reasons(calls_home("api.example.net", range(6, 14), pods=pods), around=around)["api.example.net"]
    assert ("began_without_release" in found.split(";")) == held


def heard(days: range, share: float) -> pd.DataFrame:
    """Coverage of the window of which that share arrived on some days."""
    hours = coverage(DAYS)
    some = hours["day"].isin([DAYS[day] for day in days])
    return hours.assign(nodes=hours["nodes"].where(~some, share * hours["expected_nodes"]))


@pytest.mark.parametrize(("began", "held"), [(5, False), (6, True)])
def test_that_it_was_not_there_counts_by_what_was_heard_of_the_days_before(began: int, held: bool) -> None:
    """Of six days three quarters are four and a half; of five, less than the four that a birth takes."""
    around = Surroundings(replicas={"w001": 1}, teams=TEAMS, rolled_out={"w001": ()})
    news = calls_home("api.example.net", range(began, 14))
    found = reasons(news, around=around, hours=heard(range(6), 0.75))["api.example.net"]
    assert ("began_without_release" in found.split(";")) == held


@pytest.mark.parametrize("there", [True, False])
def test_a_call_on_a_day_of_which_little_was_heard_is_a_call(there: bool) -> None:
    """Whoever was seen on it did not begin five days later."""
    around = Surroundings(replicas={"w001": 1}, teams=TEAMS, rolled_out={"w001": ()})
    days = ([1] if there else []) + list(range(7, 14))
    found = reasons(calls_home("api.example.net", days), around=around, hours=heard(range(1, 2), 0.1))
    assert ("began_without_release" in found["api.example.net"].split(";")) != there


@pytest.mark.parametrize("called", [True, False])
def test_what_was_called_on_the_partial_first_day_did_not_begin_later(called: bool) -> None:
    """A window that begins at noon has no full first day, and what was there from its first hour is no news."""
    replicas = dict.fromkeys(WORKLOADS, 5) | {"w001": 1}
    around = Surroundings(replicas=replicas, teams=TEAMS, rolled_out={"w001": ()})
    before = calls_home("www.example.net", [0]) if called else []
    found = reasons(
        [*calls_home("api.example.net", range(6, 14)), *before], around=around, hours=heard(range(1), 0.4)
    )["api.example.net"]
    assert ("began_without_release" in found.split(";")) != called


def test_what_comes_now_and_then_did_not_begin() -> None:
    """A rare call from the middle of the window on is rare, and no change."""
    replicas = dict.fromkeys(WORKLOADS, 5) | {"w001": 1}
    around = Surroundings(replicas=replicas, teams=TEAMS, rolled_out={"w001": ()})
    found = reasons(calls_home("rare.example.net", [6, 9, 12]), around=around)["rare.example.net"]
    assert "began_without_release" not in found.split(";")


@pytest.mark.parametrize("names", [True, False])
def test_a_nameless_address_begins_only_where_others_have_names(names: bool) -> None:
    """Elsewhere it may be the next address of what was always called."""
    rows = [
        edge("w900", "192.0.2.7", DAYS[day], peer_kind="ip", pods=1, hour_bits=ALL_DAY)
        for day in range(6, 14)
    ]
    always = calls_home("api.example.net" if names else "", range(14), subject="w900")
    around = Surroundings(replicas={"w900": 1}, teams=TEAMS, rolled_out={"w900": ()})
    found = screened([*rows, *always], around=around).set_index("peer").loc["192.0.2.7", "reasons"]
    assert ("began_without_release" in found.split(";")) == names


@pytest.mark.parametrize(("hours", "share", "held"), [(20, 1.0, True), (18, 1.0, False), (18, 0.9, True)])
def test_what_rests_for_a_part_of_the_day_is_called_on_behalf_of_somebody(
    hours: int, share: float, held: bool
) -> None:
    """Of the hours that were heard: where a tenth is missing, a call of each hour shows in fewer."""
    around = Surroundings(replicas={"w001": 1}, teams=TEAMS, rolled_out={"w001": ()})
    news = call("api.example.net", range(6, 14), hour_bits=(1 << hours) - 1)
    found = reasons(news, around=around, hours=heard(range(6, 14), share))["api.example.net"]
    assert ("began_without_release" in found.split(";")) == held


@pytest.mark.parametrize("share", [2 / 24, 1.0])
def test_a_day_of_which_two_hours_were_heard_is_no_rest(share: float) -> None:
    """A nightly window ends at two, and what calls at every hour has called in two of its last day."""
    around = Surroundings(replicas={"w001": 1}, teams=TEAMS, rolled_out={"w001": ()})
    news = [*calls_home("api.example.net", range(10, 13)), *call("api.example.net", [13], hour_bits=0b11)]
    found = reasons(news, around=around, hours=heard(range(13, 14), share))["api.example.net"]
    assert ("began_without_release" in found.split(";")) == (share < 1.0)


@pytest.mark.parametrize("shared", [False, True])
def test_an_address_that_other_teams_call_is_no_stranger(shared: bool) -> None:
    """A network that many use gives out addresses, and where no DNS is seen none of them has a name."""
    strangers = [
        edge("w900", f"192.0.{place}.1", DAYS[day], peer_kind="ip", pods=1, flows=1)
        for place, day in enumerate([8, 10])
    ]
    others = [
        edge(subject, "192.0.0.1", DAYS[3], peer_kind="ip", pods=5) for subject in WORKLOADS[:5] if shared
    ]
    around = Surroundings(replicas=dict.fromkeys([*WORKLOADS, "w900"], 5), teams=TEAMS)
    cells = screened([*strangers, *others], around=around)
    found = cells[cells["subject"] == "w900"].set_index("peer")["reasons"]
    assert ("lone_sighting" in found["192.0.0.1"].split(";")) != shared
    assert ("lone_sighting" in found["192.0.1.1"].split(";")) != shared


@pytest.mark.parametrize(("hours", "held"), [(1, True), (3, True), (4, False)])
def test_what_goes_on_for_hours_is_no_probe(hours: int, held: bool) -> None:
    """Whoever looks for what answers goes on to the next when it does."""
    scan = [
        edge("w900", "victim", DAYS[9], port=1000 + i, answered=0, first_us=9 * DAY_US + i, pods=1)
        for i in range(20)
    ]
    hit = [
        edge("w900", "web", DAYS[9], port=8080, pods=1, first_us=9 * DAY_US + 9, hour_bits=(1 << hours) - 1)
    ]
    found = screened([*scan, *hit]).set_index(["peer", "port"])["reasons"]
    assert ("scan" in found["web", 8080].split(";")) == held


@pytest.mark.parametrize(("control", "held"), [(21, False), (22000, True)])
def test_ports_that_a_habitual_session_hands_out_are_not_done_by_hand(control: int, held: bool) -> None:
    """A port of an FTP session is new each time, also within an hour of a lone call outside."""
    session = [edge("w900", "ftp", day, port=control, pods=5) for day in DAYS]
    drawn = [edge("w900", "ftp", DAYS[9], port=50_021, pods=1, first_us=9 * DAY_US)]
    lone = call("tools.example.net", [9], subject="w900", first_us=9 * DAY_US)
    around = Surroundings(replicas=dict.fromkeys([*WORKLOADS, "w900"], 5), teams=TEAMS)
    cells = screened([*session, *drawn, *lone], around=around).set_index("port")
    assert ("beside_lone_sighting" in cells.loc[50_021, "reasons"].split(";")) == held
