"""REST: is it alive, can it work, what is it."""

from importlib.metadata import version
from typing import Any, Final, Literal

import structlog
from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from service.db.migrate import revision
from service.dependencies import PortolanDep
from service.problems import PROBLEM_RESPONSES

router = APIRouter(tags=["service"], responses=PROBLEM_RESPONSES)
VERSION: Final = version("portolan")

log = structlog.get_logger()


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether requests can be served, part by part."""

    ready: bool
    checks: dict[str, Literal["ok", "failed"]]


class VersionInfo(BaseModel):
    """What is running."""

    version: str
    database_revision: str | None


@router.get("/health", summary="Is it alive")
def health() -> Health:
    """The process answers; looks at nothing else, so that a slow disk does not get it restarted."""
    return Health()


_NOT_READY: dict[int | str, dict[str, Any]] = {503: {"model": Readiness, "description": "Not ready"}}


@router.get("/ready", summary="Can it serve", responses=_NOT_READY)
def ready(portolan: PortolanDep, response: Response) -> Readiness:
    """Database and data directory can be used."""
    checks: dict[str, Literal["ok", "failed"]] = {}
    try:
        with portolan.database.read() as session:
            session.execute(text("SELECT 1"))
        checks["database"] = "ok"
    except SQLAlchemyError as error:
        log.warning("database.unreachable", error=type(error).__name__)
        checks["database"] = "failed"
    checks["data_dir"] = "ok" if portolan.settings.data_dir.is_dir() else "failed"
    found = all(value == "ok" for value in checks.values())
    response.status_code = 200 if found else 503
    return Readiness(ready=found, checks=checks)


@router.get("/version", summary="What is running")
def version_info(portolan: PortolanDep) -> VersionInfo:
    """Version of Portolan and of its database."""
    return VersionInfo(version=VERSION, database_revision=revision(portolan.database.engine))
