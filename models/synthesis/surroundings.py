"""What the screening knows around the cells: replicas, teams, rollouts, bare pods, DNS questions."""

from typing import Final

import numpy as np
import pandas as pd

from models.frames import Observations
from models.learning.questions import question_features
from models.learning.screening_features import Surroundings
from models.synthesis.raw_cells import workload_id
from models.synthesis.rollouts import rollouts
from models.synthesis.view import ClusterView

DAY_US: Final = 24 * 3600 * 1_000_000


def surroundings(observations: Observations, view: ClusterView) -> Surroundings:
    """
    See the cells of a window in their surroundings.

    Image digests are not in flows, so two workloads of one name in two namespaces are taken to run the
    same image, and a new pod template to bring a new one. Workloads that cannot be told apart have no number
    of replicas: that one of many pods does something is to be expected of them.

    Parameters
    ----------
    observations
        Of one cluster; ``pods``, ``lookups`` and ``coverage``.
    view
        Who is who.
    """
    owners = {key: workload_id(one) for key, one in view.workloads.by_label_key.items()}
    pods = observations.pods.assign(owner=observations.pods["label_key"].map(owners))
    pods = pods.loc[pods["owner"].notna().to_numpy()]
    rolled_out = rollouts(pods)
    asked = observations.lookups["subject"]
    lookups = observations.lookups.assign(subject=asked.map(owners).fillna(asked))
    several = {workload_id(one) for one in view.workloads.all if len(one.members) > 1}
    days = max(observations.coverage["day"].nunique(), 1)
    return Surroundings(
        replicas=_replicas(pods.loc[~pods["owner"].isin(several).to_numpy()]),
        teams={workload_id(one): one.namespace for one in view.workloads.all},
        images={workload_id(one): one.title for one in view.workloads.all},
        rolled_out=rolled_out,
        new_images=frozenset(owner for owner, times in rolled_out.items() if times),
        ownerless=frozenset(workload_id(one) for one in view.workloads.all if one.ownerless),
        questions=question_features(lookups, days) if len(lookups) else None,
    )


def _replicas(pods: pd.DataFrame) -> dict[str, int]:
    """
    Pods of each workload that were alive at once: the median over the noons at which any was.

    All pods of a window would count every rollout as new replicas; pods that never live at noon (nightly
    jobs) count as one.
    """
    if pods.empty:
        return {}
    owner, names = pd.factorize(pods["owner"], sort=True)
    first, last = pods["first_us"].to_numpy(), pods["last_us"].to_numpy()
    noons = range(int(first.min()) // DAY_US * DAY_US + DAY_US // 2, int(last.max()) + 1, DAY_US)
    counts = [np.bincount(owner[(first <= noon) & (noon <= last)], minlength=len(names)) for noon in noons]
    if not counts:
        return dict.fromkeys((str(name) for name in names), 1)
    table = np.array(counts, dtype=np.float64)
    table[table == 0] = np.nan
    known = ~np.isnan(table).all(axis=0)
    replicas = np.ones(len(names))
    replicas[known] = np.nanmedian(table[:, known], axis=0)
    return {str(name): int(count) for name, count in zip(names, replicas, strict=True)}
