"""Tables in the shape that the models read: text columns from numbered levels, rows sorted by their keys."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class Texts:
    """Distinct texts and their numbers, in the order of first use."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """Number of a text."""
        return self._numbers.setdefault(text, len(self._numbers))

    def column(self, numbers: Ints) -> "pd.api.extensions.ExtensionArray":
        """Texts of a column of numbers."""
        return pd.array(list(self._numbers), dtype="str").take(numbers)

    def ranks(self, numbers: Ints) -> Ints:
        """Places of the texts in sorted order, so that sorting needs no text."""
        texts = list(self._numbers)
        order = sorted(range(len(texts)), key=texts.__getitem__)
        ranks = np.empty(len(texts), dtype=np.int64)
        ranks[order] = np.arange(len(texts))
        return np.asarray(ranks[numbers])


def shaped(columns: Mapping[str, object], spec: Mapping[str, str], size: int) -> pd.DataFrame:
    """Frame with exactly the columns and dtypes of a contract; single values fill their column."""
    frame = pd.DataFrame(dict(columns), index=range(size))
    return frame[list(spec)].astype(dict(spec))


def sorted_rows(
    rows: Sequence[Mapping[str, object]], spec: Mapping[str, str], keys: Sequence[str]
) -> pd.DataFrame:
    """Frame of a few rows, sorted by its keys."""
    frame = pd.DataFrame(list(rows), columns=list(spec)).astype(dict(spec))
    return frame.sort_values(list(keys), kind="stable").reset_index(drop=True)
