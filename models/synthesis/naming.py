"""Names of policies: valid, unique and the same tomorrow."""

import re
from typing import Final

from models.domain.rule import stable_id
from models.domain.workload import Workload

MAX_NAME: Final = 63  # the name becomes a label value in Hubble's attribution
_PREFIX: Final = "portolan"
_HASH: Final = 8


def policy_name(workload: Workload) -> str:
    """
    Object name from the workload and a short hash of what is selected.

    Not of the rules, so an update keeps its name; the hash separates workloads whose names meet after
    illegal characters are replaced.
    """
    selector = workload.selector.text() if workload.selector is not None else ""
    digest = stable_id(workload.namespace, selector, "+".join(workload.identity), length=_HASH)
    stem = re.sub(r"[^a-z0-9]+", "-", workload.name.lower()).strip("-") or "pods"
    room = MAX_NAME - len(_PREFIX) - _HASH - 2
    return f"{_PREFIX}-{stem[:room].rstrip('-')}-{digest}"


def proposal_key(cluster: str, workload: Workload) -> str:
    """Stable key of the proposal for a workload; it outlives a change of its labels."""
    return stable_id("proposal", cluster, workload.namespace, "+".join(workload.identity))
