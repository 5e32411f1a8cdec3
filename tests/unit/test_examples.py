"""The examples in the docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import models

MODULES = sorted(module.name for module in pkgutil.walk_packages(models.__path__, "models."))


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str) -> None:
    """What a docstring shows is what the code does."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0
