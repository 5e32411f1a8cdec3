"""
The night and the nights before it, read together: who is who, and what the policies say of each row.

Rows are edge-days as the store folds them. A row is judged once against the policies that are in force
now; only what they deny is judged again by the revision of its own moment, so a roll-out of a thousand
policies costs no more than an ordinary night.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import numpy as np
import pandas as pd

from models.domain.agent import AgentConfig
from models.domain.capabilities import CapabilityHints
from models.domain.policy import Entry, PolicyRef, PolicySet
from models.domain.window import Window
from models.drift.judging import Codes, excused, judge
from models.drift.timeline import Snapshot, Timeline, timeline
from models.drift.used_parts import Parts
from models.frames import Observations
from models.learning.cells import PeerMap, cell_ids, group_codes, to_cells
from models.simulation.observed import agent_config
from models.synthesis.edges import fold_edges
from models.synthesis.raw_cells import workload_id
from models.synthesis.view import DNS_PORT, OPENSHIFT_DNS_PORT, ClusterView, cluster_view

#: Frames that tell who is who; rows of the night and of the history are put together.
_SHARED: Final = ("edge_days", "edge_pods", "edge_routes", "identities", "pods", "lookups", "coverage")
#: Columns that name an edge and the names it was known by.
RAW: Final = ("subject", "direction", "peer_kind", "peer", "peer_names", "protocol", "port", "icmp_type")


@dataclass(frozen=True, slots=True)
class Scene:
    """
    What every detector looks at.

    Parameters
    ----------
    night
        Observations of the window of the report.
    history
        Observations of the nights before it; ``None`` when there are none.
    view, config
        The cluster.
    timeline
        Policies over the night.
    parts
        Policies in force now, in their smallest parts; staged ones as they will be enforced.
    staged
        Objects that are rolled out without default deny.
    rows
        The night's rows with ``cell``, ``owner`` and ``far`` (names of both ends), ``verdict``, ``part``,
        ``closed``, ``hours`` (how many) and ``stopped`` (those with a denied or audited record).
    past
        The history's rows with ``cell``, ``owner``, ``far``, ``part``, ``hours`` and ``stopped``.
    everything
        Night and history as one.
    owners, entities
        Workload by label-set key; (peer kind, peer) of the label sets that stand for entities.
    """

    night: Observations
    history: Observations | None
    everything: Observations
    owners: Mapping[str, str]
    entities: PeerMap
    view: ClusterView
    config: AgentConfig
    timeline: Timeline
    parts: tuple[Entry, ...]
    staged: frozenset[PolicyRef]
    rows: pd.DataFrame
    past: pd.DataFrame

    @property
    def window(self) -> Window:
        """Window of the report."""
        return self.night.window


def set_scene(
    night: Observations,
    history: Observations | None,
    snapshots: Sequence[Snapshot],
    hints: CapabilityHints,
    staged: frozenset[PolicyRef] = frozenset(),
) -> Scene:
    """
    Read the observations and the policies together.

    Parameters
    ----------
    night, history
        Of one cluster; the history ends where the night begins.
    snapshots
        Deployed policies at one or several moments.
    hints
        What the configuration says of the cluster.
    staged
        Objects rolled out without default deny on purpose; they are judged as if they denied.
    """
    everything = together(night, history)
    view = cluster_view(everything, fold_edges(_resolver_rows(everything)).edges, hints, "balanced")
    config = agent_config(view)
    line = timeline(snapshots, _microseconds(night.window.start), config)
    policies = enforced(line.current, staged)
    parts = Parts(policies, config)
    owners = {key: workload_id(one) for key, one in view.workloads.by_label_key.items()}
    entities = {("endpoint", key): ("entity", name) for key, name in view.workloads.entities.items()}
    rows = named(night.edge_days, owners, entities)
    past = named(night.edge_days.iloc[:0] if history is None else history.edge_days, owners, entities)
    # The evaluator's index is made once for both: its cost is that of the policies, not of the rows.
    codes, earlier = group_codes(past, RAW)
    judged = judge(pd.concat([rows[list(RAW)], earlier], ignore_index=True), policies, view, config)
    part = parts.of_rows(judged.table, judged.entry)
    count = len(rows)
    rows = rows.assign(
        verdict=_at_their_time(rows, judged.verdict[:count], line, staged, view, config),
        part=part[:count],
        closed=judged.closed[:count],
    )
    past = past.assign(part=part[count:][codes])
    return Scene(
        night,
        history,
        everything,
        owners,
        entities,
        view,
        config,
        line,
        tuple(parts.entries),
        staged,
        rows,
        past,
    )


def together(night: Observations, history: Observations | None) -> Observations:
    """Both windows as one; rows of both, in the order of time."""
    if history is None:
        return night
    frames = {
        name: pd.concat([getattr(history, name), getattr(night, name)], ignore_index=True) for name in _SHARED
    }
    return Observations(
        cluster=night.cluster,
        window=Window(history.window.start, night.window.end),
        set_aside=night.set_aside,
        **frames,
    )


def named(edge_days: pd.DataFrame, owners: Mapping[str, str], entities: PeerMap) -> pd.DataFrame:
    """Rows with their cell and the owners of both of its ends."""
    rows = edge_days.reset_index(drop=True)
    cells = to_cells(rows, subjects=owners, peers=entities)
    stopped = rows["denied"] + rows["audited"] + rows["l7_denied"]
    hours = np.bitwise_count(rows["hour_bits"]).astype("int64")
    return rows.assign(
        cell=cell_ids(cells),
        owner=cells["subject"],
        far=cells["peer"],
        hours=hours,
        stopped=np.minimum(stopped, hours.clip(lower=1)),
    )


def enforced(policies: PolicySet, staged: frozenset[PolicyRef]) -> PolicySet:
    """Policies as they are, and staged ones as they will be."""
    if not staged:
        return policies
    entries = tuple(
        replace(entry, default_deny=True) if entry.policy in staged else entry for entry in policies.entries
    )
    return replace(policies, entries=entries)


def _at_their_time(  # noqa: PLR0917 - all of it describes one night
    rows: pd.DataFrame,
    now: Codes,
    line: Timeline,
    staged: frozenset[PolicyRef],
    view: ClusterView,
    config: AgentConfig,
) -> Codes:
    """Verdicts by the revision that was in force when each row was last seen."""
    starts = np.array(line.starts, dtype=np.int64)
    places = np.searchsorted(starts, rows["last_us"].to_numpy(dtype=np.int64), side="right") - 1
    newest = len(starts) - 1
    earlier = [
        (np.flatnonzero(places == place), enforced(line.sets[place], staged))
        for place in np.unique(places).tolist()
        if place != newest
    ]
    return excused(rows, now, earlier, view, config)


def _resolver_rows(observations: Observations) -> Observations:
    """The few rows that tell resolvers and whether names are seen; all others take no part in that."""
    frame = observations.edge_days
    asked = frame["port"].isin((DNS_PORT, OPENSHIFT_DNS_PORT))
    named_rows = frame[frame["peer_names"] != ""].head(1)
    chosen = pd.concat([frame[asked], named_rows[~named_rows.index.isin(frame.index[asked])]])
    return replace(observations, edge_days=chosen)


def _microseconds(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp()) * 1_000_000
