"""
The estimator contract: parameters in the constructor, data in ``fit``, results end in ``_``.

scikit-learn's ``BaseEstimator`` gives ``get_params``, ``set_params`` and ``clone``. What is added here
is what a nightly run relies on: rows are read in one canonical order, whatever order they came in, and
a missing column is named instead of surfacing as a ``KeyError`` three calls later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from models.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Name of the index that keys every result: the text made by `models.learning.cells.cell_ids`.
CELL: Final = "cell"


class Estimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """What every estimator of Portolan is; see ``tests/contracts/test_estimators.py`` for the rules."""

    def check_fitted(self, result: str) -> None:
        """
        Refuse to answer before ``fit``.

        Parameters
        ----------
        result
            Attribute that ``fit`` sets.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the attribute is not there yet.
        """
        if not hasattr(self, result):
            raise NotFittedError(f"{type(self).__name__} has no {result}: call fit first")


def require(frame: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    """
    Check that a frame has the columns a step reads.

    Raises
    ------
    BadInputError
        Naming the first missing column and the frame.
    """
    for column in columns:
        if column not in frame.columns:
            raise BadInputError(f"{what} lacks the column {column!r}")


def canonical(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """
    Rows in one order, exact duplicates once.

    Sorting by the key first and all other columns after it makes the order total, so that float sums,
    ties and seeded draws downstream do not depend on the order of arrival.

    Parameters
    ----------
    frame
        Any row order.
    by
        Key columns; they lead the sort.
    """
    rest = [column for column in frame.columns if column not in by]
    distinct = frame.drop_duplicates()
    return distinct.sort_values([*by, *rest], kind="stable").reset_index(drop=True)


def series(values: Any, index: pd.Index[Any], name: str) -> pd.Series[Any]:
    """Result column keyed as the input was."""
    return pd.Series(values, index=index, name=name)
