"""
The command line: the same verbs as the API, for the terminal.

Exit code 0 done, 1 failed, 2 bad usage or input. Whatever Portolan raises on purpose is one line on
standard error; a traceback is shown only for a mistake of its own.
"""

import os
import sys
from typing import Final

import typer
from typer.main import get_command

from models.errors import PortolanError
from service.commands.bench import bench
from service.commands.demo import demo
from service.commands.doctor import doctor
from service.commands.export import export
from service.commands.infer import infer
from service.commands.ingest import ingest, pull
from service.commands.maintain import maintain
from service.commands.output import say
from service.commands.proposals import proposals, review, show
from service.commands.serve import serve
from service.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, exit_code

app = typer.Typer(
    name="portolan",
    help="Observe first, enforce later: CiliumNetworkPolicy from weeks of Hubble flows, with evidence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

#: In the order of a first day with Portolan.
_COMMANDS: Final = (
    demo,
    serve,
    ingest,
    pull,
    infer,
    proposals,
    show,
    review,
    export,
    maintain,
    doctor,
    bench,
)
for _command in _COMMANDS:
    app.command()(_command)


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit as the table of this module says."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run one command and give its exit code."""
    try:
        code = get_command(app).main(arguments, prog_name="portolan", standalone_mode=False)
        sys.stdout.flush()
    except PortolanError as error:
        say(f"error: {error}")
        return exit_code(error)
    except typer.Abort:
        return EXIT_INTERRUPTED
    except KeyboardInterrupt:
        say("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except OSError as error:
        say(f"error: {error}")
        return EXIT_FAILED
    except typer.exceptions.TyperException as error:
        error.show()
        return error.exit_code
    return code if isinstance(code, int) else EXIT_DONE


if __name__ == "__main__":
    main()
