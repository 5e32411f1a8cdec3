"""
Reads the settings: one YAML file, the environment, and what the command line says.

The only reader of both. Errors name the key, where it stands, and the nearest key that exists.
"""

import difflib
import os
import types
import typing
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsError

from models.errors import BadInputError
from service.settings import ENV_NESTING, ENV_PREFIX, FILE_NAME, Place, Settings

#: Names the file to read, for those who cannot pass ``--config``; the only variable that is no setting.
ENV_FILE: Final = f"{ENV_PREFIX}CONFIG"
#: A configuration is a page of text; anything larger is the wrong file.
MAX_FILE_BYTES: Final = 1 << 20
#: Types of what names files.
_PATHS: Final = frozenset({Path, Place})


def load_settings(
    *,
    config: Path | None = None,
    data_dir: Path | None = None,
    log_format: str | None = None,
) -> Settings:
    """Settings of this process: command line over environment over file over defaults."""
    path = _find_file(config, data_dir)
    values = {} if path is None else _read_file(path)
    _check_environment()
    given: dict[str, Any] = {}
    if data_dir is not None:
        given["data_dir"] = data_dir
    if log_format is not None:
        given["log"] = {"format": log_format}

    class Loaded(Settings):
        """Settings with this file as their weakest source."""

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            del dotenv_settings, file_secret_settings
            return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=values)

    try:
        return Loaded(**given)
    except ValidationError as error:
        raise BadInputError(_explain(error, path)) from None
    except SettingsError as error:
        raise BadInputError(f"environment: {error}") from None


def _find_file(config: Path | None, data_dir: Path | None) -> Path | None:
    if config is None and os.environ.get(ENV_FILE):
        config = Path(os.environ[ENV_FILE])
    if config is not None:
        if not config.is_file():
            raise BadInputError(f"{config}: no such configuration file")
        return config
    folder = data_dir or Path(
        os.environ.get(f"{ENV_PREFIX}DATA_DIR") or Settings.model_fields["data_dir"].default
    )
    return next((path for path in (Path(FILE_NAME), folder / FILE_NAME) if path.is_file()), None)


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses a key that is given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is given twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadInputError(f"{path}: larger than {MAX_FILE_BYTES} bytes, so not a configuration file")
        with path.open(encoding="utf-8") as stream:
            values = yaml.load(stream, _StrictLoader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise BadInputError(f"{path}: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise BadInputError(f"{path}: not a mapping of settings")
    _check_keys(values, Settings, str(path))
    return _anchor_paths(values, path.parent)


def _anchor_paths(
    values: Mapping[Any, Any], folder: Path, model: type[BaseModel] = Settings
) -> dict[str, Any]:
    """Read relative paths of the file from the folder that the file is in."""
    anchored = dict(values)
    for key, field in model.model_fields.items():
        value = anchored.get(key)
        inner = section_of(field.annotation)
        if inner is not None and isinstance(value, list):
            anchored[key] = [
                _anchor_paths(item, folder, inner) if isinstance(item, dict) else item for item in value
            ]
        elif inner is not None and isinstance(value, dict):
            anchored[key] = _anchor_paths(value, folder, inner)
        elif not _PATHS.isdisjoint((field.annotation, *typing.get_args(field.annotation))):
            if isinstance(value, list):
                anchored[key] = [str(folder / path) if isinstance(path, str) else path for path in value]
            elif isinstance(value, str):
                anchored[key] = str(folder / value)
    return anchored


def section_of(annotation: Any) -> type[BaseModel] | None:
    """Model behind a field: the section itself, or the section that a list or an option holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in {tuple, list, typing.Union, types.UnionType}:
        return next((found for arg in typing.get_args(annotation) if (found := section_of(arg))), None)
    return None


def _check_keys(values: Mapping[Any, Any], model: type[BaseModel], where: str, prefix: str = "") -> None:
    for key, value in values.items():
        name = f"{prefix}{key}"
        if key not in model.model_fields:
            raise BadInputError(f"{where}: unknown key {name!r}{_nearest(str(key), model, prefix)}")
        inner = section_of(model.model_fields[key].annotation)
        if inner is None:
            continue
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(item, dict):
                inner_prefix = f"{name}[{index}]." if isinstance(value, list) else f"{name}."
                _check_keys(item, inner, where, inner_prefix)


def _nearest(key: str, model: type[BaseModel], prefix: str) -> str:
    """Say which known key was probably meant."""
    elsewhere = sorted(path for path, _ in setting_paths() if path.rsplit(".", 1)[-1] == key)
    if elsewhere:
        return f"; the nearest known key is {elsewhere[0]!r}"
    known = sorted(model.model_fields)
    near = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.5)
    return (
        f"; the nearest known key is {prefix + near[0]!r}" if near else f"; known keys are {', '.join(known)}"
    )


def setting_paths(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path and field of every setting that holds a value, in the order of the model."""
    for key, field in model.model_fields.items():
        inner = section_of(field.annotation)
        if inner is None:
            yield prefix + key, field
        else:
            listed = "[]" if typing.get_origin(field.annotation) is tuple else ""
            yield from setting_paths(inner, f"{prefix}{key}{listed}.")


def _check_environment() -> None:
    """Refuse a ``PORTOLAN_…`` variable that names no setting."""
    for variable in sorted(os.environ):
        if not variable.upper().startswith(ENV_PREFIX) or variable.upper() == ENV_FILE:
            continue
        model: type[BaseModel] | None = Settings
        for part in variable[len(ENV_PREFIX) :].lower().split(ENV_NESTING.lower()):
            if model is None or part not in model.model_fields:
                raise BadInputError(f"environment: unknown setting {variable}; {_nearest_variable(variable)}")
            field = model.model_fields[part]
            is_list = typing.get_origin(field.annotation) is tuple
            model = None if is_list else section_of(field.annotation)


def _nearest_variable(variable: str) -> str:
    known = sorted({variable_of(path) for path, _ in setting_paths()})
    near = difflib.get_close_matches(variable.upper(), known, n=1, cutoff=0.0)
    return f"the nearest known one is {near[0]}"


def variable_of(path: str) -> str:
    """Environment variable of a setting; a list is one variable that holds JSON."""
    return ENV_PREFIX + path.split("[]", maxsplit=1)[0].replace(".", ENV_NESTING).upper()


def _explain(error: ValidationError, path: Path | None) -> str:
    """One line per complaint: the key, what is wrong with it, and where settings came from."""
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in item["loc"]).lstrip(
            "."
        )
        message = item["msg"].removeprefix("Value error, ")
        lines.append(f"{key}: {message}" if key and not message.startswith(key) else message)
    return f"{path or 'settings'}: " + "; ".join(lines)
