"""Worlds are the same for the same seed, differ for another, and hold what they promise."""

import hashlib
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pandas as pd
import pytest

from jobs.evaluation.nouns import FAMILIES
from jobs.evaluation.parameters import REPORT_SEEDS, TUNE_SEEDS, WorldParameters, one_of_each, world_list
from jobs.evaluation.render import observe
from jobs.evaluation.world import make_world
from models.errors import BadInputError
from tests.unit.evaluation.small import SMALL, small_world

ROOT = Path(__file__).resolve().parents[3]
_DIGEST = """
from tests.unit.evaluation.test_worlds import digest
print(digest())
"""


#: What is observed of worlds that ask for no runs, no asides and no clouds: what others ask for may move no draw
#: of theirs.
_BEFORE = {
    "small": "ef5cb17b451c1642",
    "tune: half the names": "3d7f6085aee382bb",
    "tune: few labels": "c459b4d83d42410d",
}


def digest(parameters: WorldParameters = SMALL) -> str:
    """Hash of everything that is observed of a world."""
    observed = observe(small_world(parameters), 0, 14)
    found = (getattr(observed, field.name) for field in fields(observed))
    text = "".join(one.to_csv(index=False) for one in found if isinstance(one, pd.DataFrame))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", sorted(_BEFORE))
def test_worlds_are_what_they_were(name):
    """A change to the generator leaves the draws of earlier worlds alone, so that figures stay comparable."""
    (parameters,) = (one for one in (SMALL, *world_list("tune")) if one.name == name)
    assert digest(parameters) == _BEFORE[name]


@pytest.mark.parametrize("hash_seed", ["0", "4242"])
def test_a_world_does_not_depend_on_the_order_of_hashes(hash_seed):
    """Two interpreters with different hash seeds observe the same, byte for byte."""
    made = subprocess.run(
        [sys.executable, "-c", _DIGEST],
        cwd=ROOT,
        env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout.strip() == digest()


def test_another_seed_is_another_world():
    """The seed reaches the draws."""
    other = make_world(replace(SMALL, seed=SMALL.seed + 1))
    assert [link.contact for link in other.links] != [link.contact for link in small_world().links]


def test_tuning_and_reporting_share_no_seed():
    """What is reported was never tuned on."""
    assert not set(TUNE_SEEDS) & set(REPORT_SEEDS)
    assert {world.seed for world in world_list("tune")} == set(TUNE_SEEDS)
    assert {world.seed for world in world_list("report")} == set(REPORT_SEEDS)


def test_reporting_worlds_repeat_their_parameters_under_other_names():
    """Thirty replicas at least, as the method asks; what takes long is run on one of each."""
    worlds, kinds = world_list("report"), one_of_each("report")
    assert len({world.name for world in worlds}) == len(worlds) >= 30
    assert [replace(world, seed=0) for world in kinds] == [
        replace(world, seed=0, name=kind.name)
        for world, kind in zip(worlds[len(kinds) :], kinds, strict=False)
    ]
    assert one_of_each("tune") == world_list("tune")


def test_an_unknown_list_of_worlds_is_named():
    """The message says what there is."""
    with pytest.raises(BadInputError, match="tune, report and quick"):
        world_list("all")


def test_every_family_attacks_while_learning():
    """Within the first fourteen days each of the ten families acts."""
    world = small_world()
    acting = {link.kind for link in world.links if link.attack and link.first < 14}
    asking = {question.family for question in world.questions if question.day < 14}
    assert acting | asking == set(FAMILIES)


def test_a_quiet_world_has_no_attacks_and_no_incidents():
    """Stability is measured where nothing happens."""
    quiet = make_world(SMALL.quiet())
    kinds = {link.kind for link in quiet.links}
    assert not kinds & {*FAMILIES, "incident", "release"}
    assert not quiet.questions


def test_no_contact_is_both_wanted_and_an_attack():
    """A contact has one truth."""
    contacts = pd.Series([link.contact for link in small_world().links])
    assert contacts.is_unique


def test_the_world_has_tenants_and_shards_that_arrive_after_learning():
    """What a role's policy has to hold for was not there when it was learned."""
    late = {one.role for one in small_world().workloads if one.born >= 14 and one.kind == "Deployment"}
    assert {"saas-web", "saas-api", "saas-worker", "shard"} <= late
