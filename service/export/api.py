"""REST: everything that may be exported, in one answer."""

from enum import StrEnum
from typing import Any, Literal

from fastapi import APIRouter, Response

from models.errors import BadInputError, UnsupportedError
from service.dependencies import NameQuery, PortolanDep, ReadSession
from service.export.manifests import Kind, Mode, Target
from service.export.service import as_documents, as_zip, collect
from service.problems import PROBLEM_RESPONSES

router = APIRouter(tags=["export"], responses=PROBLEM_RESPONSES)


class ExportForm(StrEnum):
    """How the objects are packed."""

    YAML = "yaml"
    ZIP = "zip"


_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Every object, one document or one file each",
        "content": {
            "application/yaml": {},
            "application/zip": {},
        },
    }
}


@router.get("/export", summary="Export manifests", responses=_RESPONSES, response_class=Response)
def export(
    *,
    session: ReadSession,
    portolan: PortolanDep,
    cluster: NameQuery = None,
    namespace: NameQuery = None,
    state: Literal["approved", "any"] = "approved",
    kind: Kind = "cilium",
    mode: Mode = "enforce",
    form: ExportForm = ExportForm.YAML,
) -> Response:
    """What is approved (or, with `state=any`, what is not rejected), as YAML documents or a zip of files."""
    found = collect(
        session,
        cluster=cluster,
        namespace=namespace,
        approved_only=state == "approved",
        target=Target(kind, mode, portolan.settings.capabilities.cilium_version),
    )
    if found.refused:
        raise UnsupportedError("; ".join(found.refused[:5]))
    if form is ExportForm.YAML:
        if len(found.clusters) > 1:
            raise BadInputError(
                f"there are proposals for several clusters ({', '.join(found.clusters)}): name one, "
                "or ask for form=zip, which keeps them apart"
            )
        return Response(as_documents(found.objects), media_type="application/yaml")
    headers = {"Content-Disposition": 'attachment; filename="portolan.zip"'}
    return Response(as_zip(found.objects), media_type="application/zip", headers=headers)
