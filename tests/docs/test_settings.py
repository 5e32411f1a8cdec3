"""docs/configuration.md says exactly what the settings are."""

import json
import os
import typing
from datetime import timedelta

from pydantic_core import PydanticUndefined

from service.configfile import load_settings, setting_paths, variable_of
from service.durations import format_duration
from tests.support import ROOT

HEAD = ["| key | variable | default | meaning |", "|---|---|---|---|"]


def shown_default(field):
    """Default as the table writes it."""
    default = field.default
    if default is PydanticUndefined:
        return "required"
    if default is None or default == ():
        return ""
    if isinstance(default, timedelta):
        default = format_duration(default)
    return f"`{json.dumps(default) if isinstance(default, bool) else default}`"


def table():
    """The table, from the model."""
    rows = []
    for path, field in setting_paths():
        listed = typing.get_origin(field.annotation) is tuple and "[]" not in path
        variable = f"`{variable_of(path)}`" + (" (JSON)" if listed or "[]" in path else "")
        rows.append(f"| `{path}` | {variable} | {shown_default(field)} | {field.description} |")
    return HEAD + rows


def test_the_table_of_settings_is_the_model():
    """Every key, its variable, its default and its meaning; no other."""
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    found = [line for line in text.splitlines() if line.startswith("|")]
    assert found == table()


def test_the_example_is_a_valid_configuration(tmp_path, monkeypatch):
    """What people copy works."""
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    example = text.split("```yaml\n")[1].split("```")[0]
    for name in [name for name in os.environ if name.startswith("PORTOLAN_")]:
        monkeypatch.delenv(name)
    (tmp_path / "portolan.yaml").write_text(example, encoding="utf-8")
    settings = load_settings(config=tmp_path / "portolan.yaml")
    assert settings.sources[0].interval == timedelta(seconds=30)
