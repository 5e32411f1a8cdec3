"""The web application: API, pages, and the scheduler beside them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from anyio import to_thread
from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.utils import get_openapi

from jobs.schedule import Scheduler
from service.calibration.api import router as calibration_router
from service.dependencies import only_known_parameters
from service.drift.api import router as drift_router
from service.drift.metrics import router as metrics_router
from service.export.api import router as export_router
from service.health import VERSION
from service.health import router as health_router
from service.observed.api import router as observed_router
from service.problems import Problem, install_handlers
from service.proposals.api import router as proposals_router
from service.quarantine.api import router as quarantine_router
from service.runs.api import router as runs_router
from service.runs.background import Background
from service.scheduling import plan_jobs
from service.security import Guard
from service.settings import ServerSettings, check_bind
from service.simulation.api import router as simulation_router
from service.web.pages import mount_pages
from service.wiring import Portolan

API: Final = "/api/v1"


def create_app(portolan: Portolan, *, scheduler: bool = False) -> FastAPI:
    """Application over adapters that the caller opened and closes."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.background = Background()
        jobs = Scheduler(portolan.clock) if scheduler else None
        app.state.scheduler = jobs
        if jobs is not None:
            await to_thread.run_sync(plan_jobs, portolan, jobs)
            jobs.start()
        try:
            yield
        finally:
            if jobs is not None:
                await to_thread.run_sync(jobs.stop)
            await to_thread.run_sync(app.state.background.close)

    app = FastAPI(
        title="Portolan",
        version=VERSION,
        summary="Policies from observed traffic, with evidence; reviewed here.",
        openapi_url=f"{API}/openapi.json",
        docs_url=None,  # they load scripts from elsewhere; the pages and docs/api.md work offline
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.portolan = portolan
    api = APIRouter(prefix=API, dependencies=[Depends(only_known_parameters)])
    for router in (
        health_router,
        observed_router,
        proposals_router,
        quarantine_router,
        calibration_router,
        export_router,
        runs_router,
        simulation_router,
        drift_router,
    ):
        api.include_router(router)
    app.include_router(api)
    app.include_router(metrics_router)
    mount_pages(app)
    install_handlers(app)
    _describe_problems(app)
    app.add_middleware(
        Guard,
        allowed_hosts=frozenset(portolan.settings.server.allowed_hosts),
        any_host=_reachable(portolan.settings.server) and not portolan.settings.server.allowed_hosts,
    )
    return app


def _reachable(server: ServerSettings) -> bool:
    """Whether other machines can reach the port, under names that nobody told us."""
    try:
        check_bind(server.host, allowed=False)
    except ValueError:
        return True
    return False


def _describe_problems(app: FastAPI) -> None:
    """Put the form of errors into the OpenAPI document: every route refers to it."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title, version=app.version, summary=app.summary, routes=app.routes
            )
            schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            definitions = schema.pop("$defs", {})
            document.setdefault("components", {}).setdefault("schemas", {}).update(
                {"Problem": schema, **definitions}
            )
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
