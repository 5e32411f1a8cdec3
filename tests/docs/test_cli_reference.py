"""docs/cli.md says what every command takes."""

from typer.main import get_command

from service.cli import COMMANDS, make_app
from tests.support import ROOT

COMMON = ("data_dir", "config", "log_format")


def lines(command):
    """Usage, purpose and options of a command, as the reference writes them."""
    made = get_command(make_app(command)).commands[command]
    arguments, options = [], []
    for parameter in made.params:
        if parameter.param_type_name == "argument":
            name = parameter.name.upper()
            many = "..." if parameter.nargs == -1 else ""
            arguments.append(f"{name}{many}" if parameter.required else f"[{name}{many}]")
        elif parameter.name not in COMMON:
            options.append(f"- `{parameter.opts[0]}`: {parameter.help}")
        else:
            assert parameter.help
    usage = " ".join(["portolan", command, *arguments])
    return [f"### `{usage}`", "", *made.help.strip().splitlines(), "", *options, *([""] if options else [])]


def reference():
    """Everything below the introduction."""
    return [line for command in COMMANDS for line in lines(command)]


def test_the_reference_is_what_the_commands_take():
    """Generated from the same source; a change of one is a change of both."""
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert text.split("## Commands\n\n")[1].splitlines() == reference()[:-1]


def test_every_command_takes_the_common_options():
    """--data-dir, --config, --log-format everywhere."""
    for command in COMMANDS:
        names = {parameter.name for parameter in get_command(make_app(command)).commands[command].params}
        assert names >= set(COMMON), command


def test_the_list_of_commands_says_what_each_one_does():
    """The summaries of the list are the first words of the commands themselves."""
    for command, (_, summary) in COMMANDS.items():
        full = get_command(make_app(command)).commands[command].help
        assert full.split()[0] == summary.split()[0], command
        assert summary.endswith(".")
