"""What simulation and explanation work on: policies given or stored, and what was observed."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from jobs.observations.clusters import ObservedCluster
from jobs.seen import seen_window
from models.domain.agent import NEWEST, release
from models.domain.capabilities import CapabilityHints
from models.errors import BadInputError, NotFoundError, TooLittleEvidenceError
from models.learning.second_channel import ADMIT, UNWANTED
from models.simulation.seen import SeenWindow
from service.export.manifests import Target
from service.export.service import collect
from service.observed.folded import FoldedObservations
from service.quarantine.repository import QuarantineFilter, list_entries
from service.quarantine.verdicts import DECIDED, EntryState
from service.wiring import Portolan


def observed_cluster(portolan: Portolan, wanted: str | None) -> ObservedCluster:
    """The cluster that is meant: the one named, the configured one, or the only one."""
    found = portolan.observed_clusters()
    if not found:
        raise TooLittleEvidenceError("nothing was observed yet: 'portolan ingest' reads flows")
    names = [cluster.name for cluster in found]
    name = wanted or portolan.settings.cluster or (names[0] if len(names) == 1 else None)
    if name is None:
        raise BadInputError(f"several clusters were observed ({', '.join(names)}): name one")
    if name not in names:
        raise NotFoundError(f"cluster {name!r} was not observed; there are {', '.join(names)}")
    return found[names.index(name)]


def chosen_version(portolan: Portolan, wanted: str | None) -> str:
    """Release to answer for: the one asked for, the configured one, or the newest known."""
    return release(wanted or portolan.settings.capabilities.cilium_version or NEWEST).name


def stored_policies(
    session: Session, *, cluster: str, approved_only: bool, cilium_version: str
) -> list[Mapping[str, Any]]:
    """Manifests of the stored proposals of a cluster: what an export would hold."""
    target = Target(cilium_version=cilium_version)
    found = collect(session, cluster=cluster, approved_only=approved_only, target=target)
    return [item.manifest for item in found.objects]


def seen_in_window(
    portolan: Portolan,
    *,
    cluster: ObservedCluster,
    as_of: datetime | None,
    window: timedelta | None,
    cilium_version: str,
) -> SeenWindow:
    """Read a window of stored observations, ready to be asked of policy sets."""
    known = portolan.settings.capabilities
    hints = CapabilityHints(known.fqdn, known.l7, cilium_version, known.distribution)
    return seen_window(
        FoldedObservations(portolan.store),
        cluster=cluster.name,
        as_of=as_of or cluster.window_end,
        length=window or portolan.settings.window,
        hints=hints,
        said=_said(portolan, cluster.name),
    )


def _said(portolan: Portolan, cluster: str) -> dict[str, str]:
    """What is held back or unwanted, and what was admitted, by cell; a verdict holds at both ends."""
    with portolan.database.read() as session:
        rows = list_entries(session, QuarantineFilter(cluster), now=portolan.clock())
        held = {row.form["cell"]: UNWANTED for row in rows if row.held}
        decided = {
            cell: UNWANTED if row.state == EntryState.UNWANTED else ADMIT
            for row in rows
            if row.state in DECIDED
            for cell in (row.form["cell"], row.form["mirror"])
            if cell
        }
    return held | decided


def only_cluster(portolan: Portolan, wanted: str | None) -> ObservedCluster | None:
    """The cluster meant, or nothing where nothing was observed and none was asked for."""
    if wanted is None and not portolan.observed_clusters():
        return None
    return observed_cluster(portolan, wanted)
