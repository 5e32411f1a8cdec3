"""Roles: planted ones are found, and last night's are kept."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.learning.agglomeration import RolePrices, agglomerate
from models.learning.hysteresis import Partition
from models.learning.minhash import minhash_blocks
from models.learning.roles import Roles


def planted(seed: int, roles: int, members: int, show: float = 0.9) -> tuple[pd.DataFrame, dict[str, int]]:
    """Profiles of workloads that show most of their role's cells, and some of their own."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, str]] = []
    truth: dict[str, int] = {}
    for role in range(roles):
        own = [f"c{rng.integers(0, roles * 8)}" for _ in range(12)] + [f"hub{i}" for i in range(4)]
        for member in range(members):
            workload = f"w{role:03d}-{member}"
            truth[workload] = role
            rows += [(workload, cell) for cell in own if rng.random() < show]
            rows += [(workload, f"own-{workload}")] if rng.random() < 0.3 else []
    return pd.DataFrame(rows, columns=["workload", "cell"]), truth


def pairs(roles: dict[str, object]) -> set[tuple[str, str]]:
    """Pairs of workloads in one role."""
    return {(a, b) for a, b in itertools.combinations(sorted(roles), 2) if roles[a] == roles[b]}


@st.composite
def profiles(draw: st.DrawFn) -> dict[str, frozenset[str]]:
    """A few small profiles."""
    cells = st.frozensets(st.sampled_from("abcdef"), min_size=1)
    return draw(st.dictionaries(st.sampled_from([f"w{i}" for i in range(6)]), cells, min_size=1))


@pytest.mark.parametrize("seed", range(3))
def test_planted_roles_are_found(seed: int) -> None:
    """Thirty roles of five, a tenth of each profile unseen."""
    frame, truth = planted(seed, 30, 5)
    found = Roles().fit(frame).roles_.to_dict()
    assert pairs(found) == pairs(truth)


def test_roles_give_members_what_their_mates_showed() -> None:
    """The allow-list counts the members behind each cell, so that every widening is visible."""
    frame = pd.DataFrame(
        [("a", c) for c in "pqrstu"] + [("b", c) for c in "pqrstv"],
        columns=["workload", "cell"],
    )
    fitted = Roles().fit(frame)
    assert fitted.roles_.unique().size == 1
    widened = fitted.allowed_.loc[fitted.allowed_["members"] < fitted.allowed_["size"], "cell"]
    assert widened.tolist() == ["u", "v"]


def test_workloads_without_a_common_cell_stay_apart() -> None:
    """Two tiny profiles are cheap to merge and have nothing in common."""
    frame = pd.DataFrame([("a", "p"), ("b", "q")], columns=["workload", "cell"])
    assert Roles().fit(frame).roles_.unique().size == 2


def test_one_key_is_a_reason_to_share_a_role() -> None:
    """Two tenants of one program, each half seen, are one role; without the key they are two."""
    frame = pd.DataFrame(
        [("t1", c) for c in "abcdx"] + [("t2", c) for c in "aefgy"],
        columns=["workload", "cell"],
    )
    assert Roles().fit(frame).roles_.unique().size == 2
    keys = {"t1": "shop", "t2": "shop"}
    assert Roles(key_bonus=6.0).fit(frame, keys).roles_.unique().size == 1
    assert Roles().fit(frame, {"t1": "shop", "t2": "bank"}).roles_.unique().size == 2


def test_different_keys_can_be_kept_apart() -> None:
    """Equal profiles of different programs merge by default, because one allow-list fits both."""
    frame = pd.DataFrame([(w, c) for w in ("a", "b") for c in "pqr"], columns=["workload", "cell"])
    keys = {"a": "one", "b": "two"}
    assert Roles().fit(frame, keys).roles_.unique().size == 1
    assert Roles(across_keys=False).fit(frame, keys).roles_.unique().size == 2


def test_different_keys_are_kept_apart_on_the_next_night_too() -> None:
    """Two that are too different to share a role are not brought together by a third of another key."""
    does = {"a": "pqrstu", "b": "pqvwxy", "c": "pqrstuvwxy"}
    frame = pd.DataFrame([(name, cell) for name, cells in does.items() for cell in cells])
    frame.columns = pd.Index(["workload", "cell"])
    keys = {"a": "one", "b": "one", "c": "two"}
    roles = Roles(alpha=0.25, key_bonus=-2.0, across_keys=False)
    first = roles.fit(frame, keys).roles_
    assert first.nunique() == 3
    again = roles.fit(frame, keys, first.to_dict())
    assert again.roles_.to_dict() == first.to_dict()
    assert again.moved_ == ()


def test_quiet_nights_keep_roles_and_their_ids() -> None:
    """Seven nights that each miss a few cells: fewer than one pair in a hundred flips."""
    frame, _ = planted(7, 40, 5)
    last = Roles().fit(frame).roles_
    flips, kept = 0, 0
    for night in range(7):
        seen = frame.sample(frac=0.97, random_state=night)
        now = Roles().fit(seen, previous=last.to_dict()).roles_
        before, after = pairs(last.to_dict()), pairs(now.to_dict())
        flips += len(before ^ after)
        kept += len(before)
        assert (now == last).mean() > 0.99
        last = now
    assert flips <= 0.01 * kept


def test_a_new_member_joins_its_role_and_changes_no_id() -> None:
    """A tenant that appears tonight is placed; nobody else moves."""
    frame, _ = planted(1, 10, 4)
    before = Roles().fit(frame)
    mate = frame.loc[frame["workload"] == "w003-0"].assign(workload="w003-new")
    after = Roles().fit(pd.concat([frame, mate]), previous=before.roles_.to_dict())
    assert after.moved_ == ()
    assert after.roles_["w003-new"] == after.roles_["w003-0"] == before.roles_["w003-0"]


def test_a_workload_that_became_another_moves() -> None:
    """Hysteresis is patience, not blindness."""
    frame, _ = planted(1, 10, 4)
    before = Roles().fit(frame).roles_
    changed = frame.loc[frame["workload"] != "w003-0"]
    stranger = frame.loc[frame["workload"] == "w004-0"].assign(workload="w003-0")
    after = Roles().fit(pd.concat([changed, stranger]), previous=before.to_dict())
    assert after.moved_ == ("w003-0",)
    assert after.roles_["w003-0"] == after.roles_["w004-0"]


def test_an_id_is_never_given_to_strangers() -> None:
    """A role that died leaves its id; a new role with no old member gets another."""
    old = pd.DataFrame([("a", c) for c in "pqr"], columns=["workload", "cell"])
    first = Roles().fit(old).roles_
    new = pd.DataFrame([("b", c) for c in "xyz"] + [("c", c) for c in "uvw"], columns=["workload", "cell"])
    later = Roles().fit(new, previous={"a": first["a"]}).roles_
    assert first["a"] not in set(later)
    assert later.unique().size == 2


@settings(max_examples=60, deadline=None)
@given(profiles())
def test_every_workload_has_one_role_that_allows_what_it_showed(own: dict[str, frozenset[str]]) -> None:
    """A partition, and no seen cell is taken away."""
    frame = pd.DataFrame([(w, c) for w, cells in own.items() for c in cells], columns=["workload", "cell"])
    fitted = Roles().fit(frame)
    assert sorted(fitted.roles_.index) == sorted(own)
    allowed = fitted.allowed_.groupby("role")["cell"].agg(frozenset)
    assert all(own[w] <= allowed[fitted.roles_[w]] for w in own)


@settings(max_examples=60, deadline=None)
@given(profiles())
def test_merging_never_lengthens_the_description(own: dict[str, frozenset[str]]) -> None:
    """The change that decides a merge is the change of the cost as defined."""
    prices = RolePrices()
    names = sorted(own)
    groups = agglomerate([own[w] for w in names], [1] * len(names), prices)
    assert sorted(index for group in groups for index in group) == list(range(len(names)))
    merged = sum(prices.role([own[names[i]] for i in group]) for group in groups)
    assert merged <= sum(prices.role([own[w]]) for w in names) + 1e-9


@settings(max_examples=60, deadline=None)
@given(profiles(), st.integers(0, 5))
def test_moves_never_raise_the_cost(own: dict[str, frozenset[str]], cut: int) -> None:
    """Joining and leaving are priced as the whole description is."""
    prices = RolePrices()
    names = sorted(own)
    parts = [part for part in (names[:cut], names[cut:]) if part]
    partition = Partition(parts, own, prices)
    partition.settle(0.0)
    before = sum(prices.role([own[w] for w in part]) for part in parts)
    after = sum(prices.role([own[w] for w in part]) for part in partition.parts())
    assert after <= before + 1e-9
    assert sorted(w for part in partition.parts() for w in part) == names


@settings(max_examples=60, deadline=None)
@given(profiles(), st.integers(0, 5))
def test_who_shows_a_cell_is_known_through_all_moves(own: dict[str, frozenset[str]], cut: int) -> None:
    """What is kept of the roles of a cell is never of an earlier move."""
    workloads = sorted(own)
    partition = Partition([workloads[:cut], workloads[cut:]], own, RolePrices())
    for move in (lambda: partition.settle(0.0), lambda: partition.dissolve(0.0)):
        move()
        parts = {index: role.members for index, role in enumerate(partition._roles)}
        for cell in frozenset().union(*own.values()):
            showing = {index for index, members in parts.items() if any(cell in own[w] for w in members)}
            assert set(partition._roles_of(cell).tolist()) == showing


def test_minhash_blocks_hold_alike_profiles_together() -> None:
    """Profiles that share nine of ten cells meet; unrelated ones do not."""
    alike = [frozenset(f"c{i}" for i in range(30)) - {f"c{j}"} for j in range(5)]
    apart = [frozenset(f"x{k}-{i}" for i in range(30)) for k in range(5)]
    blocks = minhash_blocks([*alike, *apart, frozenset()])
    assert blocks[0] == [0, 1, 2, 3, 4]
    assert len(blocks) == 7
    assert minhash_blocks([]) == []


def test_blocks_change_nothing_for_separate_estates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit of distinct profiles the same planted roles are found."""
    frame, truth = planted(2, 25, 5)
    frame = frame.loc[~frame["cell"].str.startswith("hub")]
    whole = Roles().fit(frame).roles_
    monkeypatch.setattr("models.learning.roles.MAX_BLOCK", 10)
    blocked = Roles().fit(frame).roles_
    shared = pairs(blocked.to_dict()) & pairs(truth)
    assert len(shared) >= 0.95 * len(pairs(whole.to_dict()) & pairs(truth))
