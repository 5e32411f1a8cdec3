"""
What a link is to a window that was learned from: the truth class of every later use.

The classes of legitimate traffic say *why* a policy could not have known it; a use that was observed in
the window is ``seen``, whatever it is otherwise.
"""

from typing import Final

import numpy as np
import pandas as pd

from jobs.evaluation.nouns import FAMILIES
from jobs.evaluation.occurrences import NO_ADDRESS, by_period, occurrences
from jobs.evaluation.world import World

SEEN: Final = "seen"
PERIODIC: Final = "periodic, not yet seen"
RARE: Final = "rare, not yet seen"
INCIDENT: Final = "incident"
NEW_RELEASE: Final = "new release"
NEW_TENANT: Final = "new tenant"
#: Where learning saw one tenant only, nothing told what tenants share: there was no role yet to be of.
SECOND_TENANT: Final = "second tenant"
NEW_SHARD: Final = "new shard"
#: What ran while learning runs again: its pods have other names, and labels that nobody has seen.
NEW_RUN: Final = "new run"
ROTATED_ADDRESS: Final = "rotated address"
ROTATED_NAME: Final = "rotated name"
ROTATED_UNNAMED: Final = "rotated address, unnamed"
VISITOR: Final = "new visitor"
DYNAMIC_PORT: Final = "dynamic port"

#: Seen while learning, but told only as something that is no edge.
UNTOLD: Final = "untold"

#: Classes of legitimate traffic, in the order of the tables.
LEGITIMATE: Final = (
    SEEN,
    UNTOLD,
    PERIODIC,
    RARE,
    DYNAMIC_PORT,
    ROTATED_ADDRESS,
    ROTATED_NAME,
    ROTATED_UNNAMED,
    VISITOR,
    NEW_TENANT,
    SECOND_TENANT,
    NEW_SHARD,
    NEW_RUN,
    NEW_RELEASE,
    INCIDENT,
)
CLASSES: Final = (*LEGITIMATE, *FAMILIES)

#: Class of an unseen link by the reason for which it exists.
_BY_KIND: Final = {
    "tenant": NEW_TENANT,
    "shard": NEW_SHARD,
    "visitor": VISITOR,
    "incident": INCIDENT,
    "dynamic": DYNAMIC_PORT,
}
#: Probes of the node cross no policy, so they are in no score.
UNSCORED: Final = "probe"
#: Tenants from which they have a role in common, and the workload that each of them has.
MIN_TENANTS: Final = 2
TENANT_ROLE: Final = "saas-api"
#: What makes two uses one question to an evaluator.
USE: Final = ("link", "client_set", "server_set", "address")


def classified(world: World, first: int, learned: int, until: int) -> pd.DataFrame:
    """
    Uses of the days ``learned`` to ``until`` with their truth class.

    Parameters
    ----------
    world
        Any.
    first, learned
        The learning window is [first, learned).
    until
        Day after the last to be scored.

    Returns
    -------
    pandas.DataFrame
        `USE` columns, ``day``, ``period`` (day on which the 24 hours began, counted from the hour at which
        windows end), ``flows``, ``truth`` (one of `CLASSES`), ``known`` (something of the link was observed),
        ``cell``: uses of one cell would be admitted by one exact rule for a workload, name or address.
    """
    uses = by_period(world, learned, until)
    scored = np.array([link.kind != UNSCORED for link in world.links], dtype=np.bool_)
    uses = uses[scored[uses["link"].to_numpy()]].reset_index(drop=True)
    before = occurrences(world, first, learned, observed=True)
    seen_link = np.zeros(len(world.links), dtype=np.bool_)
    seen_link[before["link"].to_numpy()] = True
    seen_pairs = pd.MultiIndex.from_frame(before[["link", "address"]].drop_duplicates())
    pairs = pd.MultiIndex.from_frame(uses[["link", "address"]])
    link = uses["link"].to_numpy()
    unseen = np.array([_unseen(world, number, learned) for number in range(len(world.links))], dtype=object)
    if _tenants(world, learned) < MIN_TENANTS:
        unseen[unseen == NEW_TENANT] = SECOND_TENANT
    grown = _grown(world, seen_link)
    truth = np.where(grown[link], ROTATED_NAME, unseen[link])
    moved = np.array(
        [ROTATED_ADDRESS if _named(world, n) else ROTATED_UNNAMED for n in range(len(world.links))]
    )
    truth = np.where(seen_link[link], moved[link], truth)
    truth = np.where(np.asarray(pairs.isin(seen_pairs)), SEEN, truth)
    truth = np.where(seen_link[link] & _new_run(world, uses, before), NEW_RUN, truth)
    untold = np.array([one.untold != "" for one in world.links])
    truth = np.where(seen_link[link] & untold[link], UNTOLD, truth)
    attack = np.array([one.kind if one.attack else "" for one in world.links])
    truth = np.where(attack[link] != "", attack[link], truth)
    unnamed = np.array([one.outside >= 0 and not _named(world, n) for n, one in enumerate(world.links)])
    address = np.where(unnamed[link], uses["address"].to_numpy(), NO_ADDRESS)
    cell = pd.factorize(pd.MultiIndex.from_arrays([link, address]), sort=True)[0]
    made: pd.DataFrame = uses.assign(truth=truth.astype(str), cell=cell, known=seen_link[link])
    return made


def _new_run(
    world: World, uses: pd.DataFrame, before: pd.DataFrame
) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Uses with an end that runs, in a run of which nothing was observed."""
    found = np.zeros(len(uses), dtype=np.bool_)
    runs = np.array([world.workloads[one.workload].run is not None for one in world.label_sets] + [False])
    for end in ("client_set", "server_set"):
        sets = uses[end].to_numpy()  # -1, for none, is the last of `runs`
        found |= runs[sets] & ~np.isin(sets, before[end].unique())
    return found


def _tenants(world: World, learned: int) -> int:
    """Tenants that were there while learning."""
    return len({one.namespace for one in world.workloads if one.role == TENANT_ROLE and one.born < learned})


def _named(world: World, number: int) -> bool:
    link = world.links[number]
    return link.outside >= 0 and link.client >= 0 and world.outsides[link.outside].name != ""


def _unseen(world: World, number: int, learned: int) -> str:
    """Class of a link of which nothing was observed."""
    link = world.links[number]
    if link.kind in _BY_KIND:
        return _BY_KIND[link.kind]
    ends = [world.workloads[end] for end in (link.client, link.server) if end >= 0]
    if any(one.born >= learned for one in ends):
        return NEW_SHARD if any(one.role == "shard" for one in ends) else NEW_TENANT
    if link.rhythm.scheduled:
        return PERIODIC
    return NEW_RELEASE if link.first >= learned or link.kind == "release" else RARE


def _grown(
    world: World, seen_link: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Links to a new name of a domain of which the client was seen to use another."""
    known = {
        (link.client, world.outsides[link.outside].group)
        for number, link in enumerate(world.links)
        if seen_link[number] and link.outside >= 0
    }
    return np.array(
        [
            link.outside >= 0
            and world.outsides[link.outside].group != ""
            and _named(world, number)
            and (link.client, world.outsides[link.outside].group) in known
            for number, link in enumerate(world.links)
        ],
        dtype=np.bool_,
    )
