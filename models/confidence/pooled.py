"""
Facts of what one rule line admits, taken together: the names of a pattern, the addresses of a prefix.

What is admitted as one thing is judged as one thing. Each name under a pattern may have been called once, by
one replica, and all of them every day, by every replica; and one address that two names had for a day makes a
raw cell of that pair, which is no destination that anybody could allow or refuse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from models.domain.peer import CidrPeer, FqdnPeer
from models.learning import bitmaps
from models.learning.concentration import UNKNOWN_CONCENTRATION, concentration
from models.learning.screening_features import FEATURES, HOUR_US
from models.synthesis.cell_pods import End, cell_pods

if TYPE_CHECKING:
    from models.confidence.policy_cells import PolicyCells
    from models.synthesis.draft import Draft

#: Kinds of peers of a policy cell whose names or addresses are no members that somebody lists.
_KINDS: Final = (FqdnPeer.__name__, CidrPeer.__name__)
#: Facts of the earliest: what came with the first of them is no news of the others.
_OF_FIRST: Final = ("breadth", "deploy_adjacent")
#: Facts of the most telling: one debugging session is one, and a name that many use is popular.
_MOST: Final = ("debug", "popularity")
#: Columns of the result besides `FEATURES`: what the sentences of the ledger need.
_TOLD: Final = ("own_days", "pods", "replicas", "pod", "leader", "together")


def pooled_facts(draft: Draft, cells: PolicyCells) -> pd.DataFrame:
    """
    Facts of policy cells with several raw cells outside, by the workload that makes the calls.

    Workloads are not taken together: of several under one policy, one that does what the others never did
    is to be seen.

    Parameters
    ----------
    draft, cells
        The draft, and its cells.

    Returns
    -------
    pandas.DataFrame
        One row per (policy cell, workload), ``cell`` and ``subject`` among the columns: `FEATURES`, and what
        `models.learning.ledger` tells. Cells of which a verdict speaks are not among them.
    """
    known = cells.cells.index[cells.cells["peer_kind"].isin(_KINDS)]
    facts, raw = draft.screened.facts, draft.screened.raw
    pairs = cells.places.loc[cells.places["cell"].isin(frozenset(known))]
    pairs = pairs.assign(raw=[raw.cell_of[place] for place in pairs["place"].tolist()])
    unscreened = facts.index.get_indexer(pd.Index(pairs["raw"])) < 0  # and so without a number
    said = pairs["raw"].isin(draft.screened.judged()) | unscreened
    pairs = pairs.loc[~pairs["cell"].isin(pairs.loc[said, "cell"])]
    single = pairs.drop_duplicates(["cell", "raw"]).groupby("cell").size()
    pairs = pairs.loc[pairs["cell"].isin(single.index[single > 1])]
    if pairs.empty:
        return pd.DataFrame(columns=["cell", "subject", *FEATURES, *_TOLD])
    pairs["subject"] = raw.cells["subject"].reindex(pairs["raw"]).to_numpy()
    pairs["group"] = pairs["cell"] + "|" + pairs["subject"]
    members = pairs.drop_duplicates(["group", "raw"]).sort_values(["group", "raw"])
    found = _together(members["group"], facts.loc[members["raw"]], raw.cells.loc[members["raw"]])
    of_group = members.drop_duplicates("group").set_index("group")[["cell", "subject"]]
    whole = ~of_group["cell"].duplicated(keep=False)
    # of a cell's only caller, the same days as in the header of its rule
    header = cells.cells["active_days"].reindex(of_group["cell"]).set_axis(of_group.index).astype(float)
    found["own_days"] = header.where(whole, found["own_days"])
    found["days"] = found[["days", "own_days"]].max(axis=1)
    found = found.join(_pods(draft, pairs))
    scale = (
        found["pods"].to_numpy(dtype=np.float64),
        found["replicas"].to_numpy(),
        found["attempts"].to_numpy(),
    )
    found["concentration"] = np.where(found["leader"], UNKNOWN_CONCENTRATION, concentration(*scale))
    # an exact name stays one, whatever else its addresses were called
    one_name = of_group["cell"].map(cells.cells["peer"]).str.match(r"fqdn:[^*]*$")
    found["together"] = found["together"].where(~one_name.astype(np.bool_), "")
    return of_group.join(found)[["cell", "subject", *FEATURES, *_TOLD]].reset_index(drop=True)


def _pods(draft: Draft, pairs: pd.DataFrame) -> pd.DataFrame:
    """Distinct pods that made the calls of each group (`cell_pods`)."""
    ends = []
    for group, place in pairs[["group", "place"]].itertuples(index=False):
        edge = draft.table.edges[place]
        if edge.direction == "egress":
            end = (edge.subject, edge.subject_pods, edge.subject_pod_names)
        else:
            end = (edge.peer, edge.peer_pods, edge.peer_pod_names)
        ends.append(End(group, *end))
    return cell_pods(ends)


def _together(group: pd.Series[Any], facts: pd.DataFrame, raw: pd.DataFrame) -> pd.DataFrame:
    """
    Facts of the raw cells of each group as those of one; shares weigh as many attempts as they are of.

    Parameters
    ----------
    group
        Of each row of the frames.
    facts, raw
        `screening_features` and `DayIncidence.cells_`.
    """
    codes, groups = pd.factorize(group, sort=True)
    weights = facts["attempts"].clip(lower=1.0).to_numpy()
    known = facts[list(FEATURES)].astype(float).reset_index(drop=True)
    shares = known.notna().mul(weights, axis=0).groupby(codes).sum()
    found = known.mul(weights, axis=0).groupby(codes).sum() / shares.where(shares > 0)
    first = raw["first_us"].to_numpy(dtype=np.int64)
    earliest = pd.Series(np.arange(len(codes)), dtype=np.int64).iloc[np.argsort(first, kind="stable")]
    of_first = earliest.groupby(codes[earliest.to_numpy()]).first().to_numpy()
    for name in _OF_FIRST:
        found[name] = known[name].to_numpy()[of_first]
    beside = pd.Series(first // HOUR_US == (first // HOUR_US)[of_first][codes]).groupby(codes).sum() - 1
    found["breadth"] = (found["breadth"] - beside).clip(lower=0.0)
    found[list(_MOST)] = known[list(_MOST)].groupby(codes).max()
    days = np.zeros(len(groups), dtype=np.uint64)
    np.bitwise_or.at(days, codes, raw["days"].to_numpy(dtype=np.uint64))
    most = raw["active_days"].reset_index(drop=True).groupby(codes).max()
    found["own_days"] = np.maximum(bitmaps.count_bits(days), most).astype(float)
    found["days"] = known["days"].groupby(codes).max().clip(lower=found["own_days"])
    found["replicas"] = facts["replicas"].reset_index(drop=True).groupby(codes).max()
    found["attempts"] = facts["attempts"].reset_index(drop=True).groupby(codes).sum()
    found["leader"] = facts["leader"].reset_index(drop=True).groupby(codes).any()
    ends = raw[["peer_kind", "peer"]].reset_index(drop=True).groupby(codes)
    found["together"] = [_told(own["peer_kind"].unique(), own["peer"]) for _, own in ends]
    return found.set_axis(groups)


def _told(kinds: Any, peers: pd.Series[Any]) -> str:
    """What was taken together, for sentences; "" for what has one name."""
    names = {name for peer in peers for name in str(peer).split(",")}
    what = {("fqdn",): "names", ("ip",): "addresses"}.get(tuple(kinds), "names and addresses")
    return f"{len(names):,} {what}" if len(names) > 1 else ""
