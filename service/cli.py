"""
The command line: the same verbs as the API, for the terminal.

Exit code 0 done, 1 failed, 2 bad usage or input. Whatever Portolan raises on purpose is one line on
standard error; a traceback is shown only for a mistake of its own.
"""

import atexit
import os
import sys
from contextlib import suppress
from importlib import import_module
from typing import Final

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from jobs.garbage import uncollected
from models.errors import PortolanError
from service.commands.output import say
from service.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, exit_code

#: Commands in the order of a first day with Portolan: the module of ``service.commands`` each is in, and
#: what it does. Only what is asked for is imported: neither the list of commands nor reading a proposal
#: has to wait for the libraries of learning.
COMMANDS: Final = {
    "demo": ("demo", "Load sample_data, propose, show some policies, and serve."),
    "serve": ("serve", "Serve the API and the pages, and run the jobs at their times."),
    "ingest": ("ingest", "Read Hubble flows into the observation store."),
    "pull": ("ingest", "Read what the configured sources have that was not read before."),
    "infer": ("infer", "Propose a policy for every workload."),
    "proposals": ("proposals", "List what was proposed, and where each proposal stands."),
    "show": ("proposals", "Show a policy, its evidence, its doubts, and what was left out."),
    "review": ("proposals", "Approve, reject or reopen a proposal or some of its rules."),
    "quarantine": ("quarantine", "List what is held back for a person to decide."),
    "verdict": ("quarantine", "Admit what is held back, confirm it as unwanted, or ask again later."),
    "export": ("export", "Write one file per policy, each checked before anything is written."),
    "simulate": ("simulate", "Say, flow by flow, which verdict policies give and which rule decides."),
    "check": ("check", "Look for what is wrong with policies: refused, useless, costly, DNS forgotten."),
    "drift": ("drift", "Compare last night's flows with the deployed policies."),
    "explain": ("explain", "Say which policy and rule decide a connection, and the smallest change."),
    "maintain": ("maintain", "Compact the observation store and remove what is too old."),
    "doctor": ("doctor", "Say what is configured, reachable, recorded and missing."),
    "evaluate": ("evaluate", "Measure the proposals on worlds with known truth."),
    "bench": ("bench", "Measure speed and memory, as ratios within one run."),
}


def make_app(only: str | None = None) -> typer.Typer:
    """Command line with the command that is asked for, or the list of all."""
    app = typer.Typer(
        name="portolan",
        help="Observe first, enforce later: CiliumNetworkPolicy from weeks of Hubble flows, with evidence.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for command, (module, summary) in COMMANDS.items():
        if only == command:
            with uncollected():  # what is imported stays
                function = getattr(import_module(f"service.commands.{module}"), command)
            app.command(command, short_help=summary)(function)
        elif only is None:
            app.command(command, short_help=summary)(_root)
    return app


def _root() -> None:
    """Observe first, enforce later: CiliumNetworkPolicy from weeks of Hubble flows, with evidence."""


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit as the table of this module says."""
    leaving = _Leaving()
    atexit.register(leaving)  # first, and so called last: whatever else is to be closed has been
    leaving.code = run(sys.argv[1:] if arguments is None else arguments)
    sys.exit(leaving.code)


class _Leaving:
    """
    End the process as soon as everything is closed.

    The interpreter would take every module and object apart one by one, for half a second after an
    inference; the kernel takes all of it back at once. A mistake of our own ends as Python ends it.
    """

    code: int | None = None

    def __call__(self) -> None:
        if self.code is not None:
            with suppress(OSError):  # whoever read our output may have gone
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(self.code)


def run(arguments: list[str]) -> int:
    """Run one command and give its exit code."""
    try:
        first = arguments[0] if arguments else ""
        command = get_command(make_app(first if first in COMMANDS else None))
        code = command.main(arguments, prog_name="portolan", standalone_mode=False)
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        known = _explain(error)
        if known is None:
            raise
        return known
    if code == EXIT_INTERRUPTED:  # Typer makes this of a KeyboardInterrupt, and leaves the word to us
        say("interrupted")
    return code if isinstance(code, int) else EXIT_DONE


def _explain(error: BaseException) -> int | None:
    """Say in one line what went wrong, and give the exit code; None for a mistake of our own."""
    match error:
        case PortolanError():
            say(f"error: {error}")
            return exit_code(error)
        case KeyboardInterrupt() | typer.Abort():  # outside of a command, and at a question that it asked
            say("interrupted")
            return EXIT_INTERRUPTED
        case BrokenPipeError():
            # Whoever read our output has gone; Python would complain once more when it closes the stream.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_FAILED
        case OSError():
            say(f"error: {error}")
            return EXIT_FAILED
        case TyperException():
            show = getattr(error, "show", None)  # with the usage line, where the mistake has one
            show() if show else say(f"Error: {error.format_message()}")
            return error.exit_code
        case _:
            return None


if __name__ == "__main__":
    main()
