"""Settings: one file, the environment, and errors that name the way out."""

import json
import os
from datetime import timedelta
from pathlib import Path
from unittest import mock

import pytest

from models.errors import BadInputError
from service.configfile import load_settings
from service.durations import format_duration, parse_duration


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PORTOLAN_")]:
        monkeypatch.delenv(name)


def load(text="", environ=None, **given):
    """Settings from a file with this text, under these variables."""
    Path("portolan.yaml").write_text(text, encoding="utf-8")
    with mock.patch.dict(os.environ, environ or {}):
        return load_settings(**given)


def test_nothing_configured_is_a_whole_configuration():
    """No file, no variables: everything has a default."""
    settings = load_settings()
    assert (settings.data_dir, settings.server.host, settings.window) == (
        Path(".portolan"),
        "127.0.0.1",
        timedelta(days=14),
    )


def test_the_command_line_beats_the_environment_beats_the_file(tmp_path):
    """Stronger sources win key by key, not section by section."""
    text = "posture: strict\nserver: {port: 1, host: localhost}\ndata_dir: here\n"
    settings = load(text, {"PORTOLAN_SERVER__PORT": "2"}, data_dir=tmp_path / "there")
    assert (settings.posture, settings.server.port, settings.server.host) == ("strict", 2, "localhost")
    assert settings.data_dir == tmp_path / "there"


def test_an_unknown_key_is_named_with_the_nearest_known_one():
    """A typing mistake is not a setting that silently does nothing."""
    with pytest.raises(BadInputError, match=r"'windw'.*'window'"):
        load("windw: 7d")
    with pytest.raises(BadInputError, match=r"'server\.prot'.*'server\.port'"):
        load("server: {prot: 1}")
    with pytest.raises(BadInputError, match=r"'sources\[0\]\.pathes'.*'sources\[0\]\.paths'"):
        load("sources: [{name: a, pathes: [b]}]")
    with pytest.raises(BadInputError, match=r"'port'.*'server\.port'"):
        load("port: 1")


def test_an_unknown_variable_is_named_with_the_nearest_known_one():
    """The same in the environment."""
    with pytest.raises(BadInputError, match=r"PORTOLAN_SERVER__PROT.*PORTOLAN_SERVER__PORT"):
        load(environ={"PORTOLAN_SERVER__PROT": "1"})


def test_variables_of_others_are_nobodys_business():
    """Only our own prefix is checked."""
    assert load(environ={"PORTO": "1", "PATH": "x"}).posture == "balanced"


def test_values_are_checked_with_their_key():
    """An error says which key and what would be right."""
    for text, part in (
        ("window: soon", "window: 'soon'"),
        ("posture: bold", "posture"),
        ("schedule: {infer: at night}", "schedule.infer"),
        ("server: {port: 70000}", "server.port"),
        ("capabilities: {cilium_version: 1.20}", 'cilium_version: write it in quotes, as "1.17": 1.2'),
        ("window: 100d", "retention.observations is shorter"),
        ("sources: [{name: a, paths: [x]}, {name: a, paths: [y]}]", "'a' is used twice"),
        ("server: {host: 0.0.0.0}", "allow_non_loopback"),
        ("a: 1\na: 2", "given twice"),
        ("- a", "not a mapping"),
        ("a: [", "portolan.yaml"),
    ):
        with pytest.raises(BadInputError, match=r"portolan\.yaml") as caught:
            load(text)
        assert part in str(caught.value), text


def test_nothing_binds_beyond_loopback_without_being_told_to():
    """There is no login, so an open port is a decision."""
    for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", ""):
        with pytest.raises(BadInputError):
            load(f"server: {{host: '{host}'}}")
    assert load("server: {host: 0.0.0.0, allow_non_loopback: true}").server.host == "0.0.0.0"
    assert load("server: {host: '::1'}").server.host == "::1"


def test_a_password_in_the_address_of_the_database_is_refused():
    """Secrets are files, in the configuration as in the environment."""
    with pytest.raises(BadInputError, match="password_file") as caught:
        load("database: {url: 'postgresql://me:hunter2@db/portolan'}")
    assert "hunter2" not in str(caught.value)


def test_paths_of_the_file_start_at_the_file(tmp_path):
    """A configuration can be used from any folder."""
    (tmp_path / "etc").mkdir()
    file = tmp_path / "etc" / "portolan.yaml"
    file.write_text(
        "sources: [{name: a, paths: [flows, /abs]}]\ndata_dir: data\ncron_jobs: {paths: [jobs]}\n"
        "drift: {policies: [deployed], webhook_url_file: hook}\ndatabase: {password_file: secret}\n",
        encoding="utf-8",
    )
    settings = load_settings(config=file)
    here = tmp_path / "etc"
    assert settings.sources[0].paths == (str(here / "flows"), "/abs")
    assert settings.data_dir == here / "data"
    assert settings.cron_jobs.paths == (str(here / "jobs"),)
    assert settings.drift.policies == (str(here / "deployed"),)
    assert settings.drift.webhook_url_file == here / "hook"
    assert settings.database.password_file == here / "secret"


def test_the_data_directory_may_hold_the_file(tmp_path):
    """--data-dir alone is enough to find it."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "portolan.yaml").write_text("posture: generous\n", encoding="utf-8")
    assert load_settings(data_dir=tmp_path / "d").posture == "generous"


def test_a_named_file_must_exist(monkeypatch):
    """Silence about a missing file would mean defaults nobody asked for."""
    with pytest.raises(BadInputError, match="no such configuration file"):
        load_settings(config=Path("gone.yaml"))
    monkeypatch.setenv("PORTOLAN_CONFIG", "gone.yaml")
    with pytest.raises(BadInputError, match="no such configuration file"):
        load_settings()


def test_lists_come_from_the_environment_as_json():
    """Every key is also a variable."""
    sources = json.dumps([{"name": "a", "paths": ["x"], "interval": "30s"}])
    settings = load(environ={"PORTOLAN_SOURCES": sources})
    assert settings.sources[0].interval == timedelta(seconds=30)


@pytest.mark.parametrize("text", ["90s", "15m", "36h", "14d"])
def test_lengths_of_time_are_read_as_they_are_written(text):
    """Reading and writing are inverse."""
    assert format_duration(parse_duration(text)) == text


@pytest.mark.parametrize("text", ["", "0d", "-1d", "14", "d", "1y", "14 days", "999999w", "\u0661d"])
def test_what_is_no_length_of_time_is_refused(text):
    """Nothing is guessed."""
    with pytest.raises(BadInputError):
        parse_duration(text)
