"""Which proposals an export holds, and what they look like."""

import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from models.errors import UnsupportedError
from models.manifest.render_kubernetes import cannot_say
from service.export.files import file_name
from service.export.manifests import Rendered, Target, render
from service.proposals import repository
from service.proposals.repository import ProposalFilter
from service.proposals.service import exportable

#: Fixed, so that the same decisions give the same archive byte for byte.
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Export:
    """Objects to write, and what a person should know about them."""

    objects: tuple[Rendered, ...]
    clusters: tuple[str, ...]  # whose objects they are; more than one: each in a folder of its own
    unreviewed: tuple[str, ...]  # proposals that hold flagged rules which nobody looked at
    refused: tuple[str, ...]  # proposals that cannot be said in this kind or mode, with the reason
    limits: tuple[str, ...]  # what the written objects cannot say


def collect(
    session: Session,
    *,
    cluster: str | None,
    namespace: str | None = None,
    approved_only: bool = True,
    target: Target,
) -> Export:
    """
    Render everything that may be exported.

    Objects of several clusters are kept apart, in a folder per cluster: applied together, the policies
    of one cluster would overwrite or cut off those of another.
    """
    rows = repository.list_proposals(session, ProposalFilter(cluster=cluster, namespace=namespace))
    clusters = tuple(sorted({row.cluster for row in rows}))
    several = len(clusters) > 1
    objects, unreviewed, refused, limits = [], [], [], []
    for row in rows:
        found = exportable(session, row, approved_only=approved_only)
        if found is None:
            continue
        title = f"{row.namespace}/{row.name}"
        try:
            manifest, text = render(found.proposal, found.include, target)
        except UnsupportedError as error:
            refused.append(f"{title}: {error}")
            continue
        path = file_name(row.namespace, row.name, target.kind, cluster=row.cluster if several else "")
        objects.append(Rendered(path, manifest, text))
        if target.kind == "kubernetes":
            limits += [f"{title}: {line}" for line in cannot_say(found.proposal, include=found.include)]
        if found.unreviewed:
            unreviewed.append(title)
    _refuse_clashes(objects)
    return Export(tuple(objects), clusters, tuple(unreviewed), tuple(refused), tuple(limits))


def _refuse_clashes(objects: Sequence[Rendered]) -> None:
    paths = [item.path for item in objects]
    twice = sorted({path for path in paths if paths.count(path) > 1})
    if twice:
        raise UnsupportedError(f"two proposals would be written to {twice[0]}: one would undo the other")


def as_documents(objects: Iterable[Rendered]) -> str:
    """All objects as one YAML stream."""
    return "".join(f"---\n{item.text}" for item in objects)


def as_zip(objects: Iterable[Rendered]) -> bytes:
    """All objects as an archive of files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for item in objects:
            info = zipfile.ZipInfo(item.path, _ZIP_TIME)
            info.external_attr = 0o644 << 16
            archive.writestr(info, item.text)
    return buffer.getvalue()
