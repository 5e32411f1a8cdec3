"""The examples in the docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import models.confidence
import models.learning

MODULES = sorted(
    f"{package.__name__}.{module.name}"
    for package in (models.confidence, models.learning)
    for module in pkgutil.iter_modules(package.__path__)
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str) -> None:
    """What a docstring shows is what the code does."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0
