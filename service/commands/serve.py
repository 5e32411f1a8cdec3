"""``portolan serve``: API, pages and scheduler in one process."""

import socket
from typing import Annotated

import structlog
import typer
import uvicorn

from models.errors import BadInputError, PortolanError
from service.commands.options import ConfigFile, DataDir, LogFormatOption, portolan_for
from service.commands.output import say
from service.main import create_app
from service.settings import check_bind
from service.wiring import Portolan

log = structlog.get_logger()


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="Port to listen on; 0 takes a free one.",
            metavar="<number>",
            min=0,
            max=65535,
            show_default="8000",
        ),
    ] = None,
    no_scheduler: Annotated[
        bool, typer.Option("--no-scheduler", help="Serve only; jobs are run elsewhere or by hand.")
    ] = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """Serve the API and the pages, and run the jobs at their times."""
    with portolan_for(data_dir, config, log_format) as portolan:
        run_server(portolan, host=host, port=port, scheduler=not no_scheduler)


def run_server(portolan: Portolan, *, host: str | None, port: int | None, scheduler: bool) -> None:
    """Listen until interrupted; binds before it says so."""
    settings = portolan.settings.server
    host = settings.host if host is None else host
    try:
        check_bind(host, allowed=settings.allow_non_loopback)
    except ValueError as error:
        raise BadInputError(str(error)) from None
    listener = _listen(host, settings.port if port is None else port)
    address, bound = listener.getsockname()[:2]
    shown = f"[{address}]" if ":" in address else address
    say(f"listening on http://{shown}:{bound}")
    log.info("server.started", host=address, port=bound, scheduler=scheduler)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(portolan, scheduler=scheduler),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
        )
    )
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()
        log.info("server.stopped")


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, proto)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise PortolanError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from None
    return listener
