"""Every later use has a truth class, and the right one."""

import numpy as np
import pytest

from jobs.evaluation.truth import (
    CLASSES,
    LEGITIMATE,
    NEW_TENANT,
    PERIODIC,
    ROTATED_ADDRESS,
    ROTATED_NAME,
    SEEN,
    classified,
)
from tests.unit.evaluation.small import small_world


@pytest.fixture(scope="module")
def later():
    return classified(small_world(), 0, 14, 28)


def test_every_later_use_has_a_truth_class(later):
    """No use is scored without saying what it is, and none is lost."""
    world = small_world()
    scored = np.array([link.kind != "probe" for link in world.links])
    assert set(later["truth"]) <= set(CLASSES)
    assert int(later["flows"].sum()) == int(world.flows[scored, 14:].sum())


def test_seen_means_that_the_window_showed_it(later):
    """A use is seen exactly if its link with its address was observed in the window."""
    world = small_world()
    observed = world.caught[:, :14].any(axis=1)
    seen = later[later["truth"] == SEEN]
    assert observed[seen["link"].to_numpy()].all()
    rare = later[~later["known"] & later["truth"].isin(LEGITIMATE)]
    assert not observed[rare["link"].to_numpy()].any()


def test_an_attack_is_one_whatever_was_seen_of_it(later):
    """Being observed does not make an attack legitimate."""
    world = small_world()
    attack = np.array([link.attack for link in world.links])
    assert (attack[later["link"].to_numpy()] == ~later["truth"].isin(LEGITIMATE)).all()


def test_classes_follow_from_what_the_link_is(later):
    """Scheduled links are periodic, links of late tenants are theirs, rotation needs a known name or domain."""
    world = small_world()
    for row in later.drop_duplicates(["link", "truth"]).itertuples(index=False):
        link = world.links[row.link]
        if row.truth == PERIODIC:
            assert link.rhythm.scheduled
        if row.truth == NEW_TENANT:
            assert max(world.workloads[end].born for end in (link.client, link.server) if end >= 0) >= 14
        if row.truth == ROTATED_ADDRESS:
            assert row.known
            assert world.outsides[link.outside].name
        if row.truth == ROTATED_NAME:
            assert not row.known
            assert world.outsides[link.outside].group
