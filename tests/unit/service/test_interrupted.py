"""What a command says when somebody presses Ctrl-C."""

from service.cli import run
from service.commands import proposals
from service.errors import EXIT_INTERRUPTED


def test_an_interrupted_command_says_so_in_one_line(tmp_path, monkeypatch, capsys):
    def interrupted(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(proposals, "portolan_for", interrupted)

    assert run(["proposals", "--data-dir", str(tmp_path)]) == EXIT_INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


def test_an_interruption_before_the_command_began_says_so_too(monkeypatch, capsys):
    def interrupted(_only):
        raise KeyboardInterrupt

    monkeypatch.setattr("service.cli.make_app", interrupted)

    assert run(["proposals"]) == EXIT_INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"
