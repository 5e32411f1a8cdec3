"""
Distinct pods at the ends of a cell, from what each of its edges showed.

The edges of a cell may show the same pods (a popular name's addresses, all day long) or others (addresses
that take turns, each called once). Where an edge showed one or two pods their names are known, so that the
pods of many small edges can be told apart.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

import pandas as pd

#: Pods of which the first and the last by name are all.
_FEW: Final = 2


class End(NamedTuple):
    """
    One end of an edge.

    Parameters
    ----------
    cell
        That the edge belongs to.
    label_set
        Of the end, or an address.
    pods
        How many were seen.
    names
        Of them, as `pod_names` gives them.
    """

    cell: str
    label_set: str
    pods: int
    names: tuple[str, ...]


def pod_names(count: int, first: str, last: str) -> tuple[str, ...]:
    """
    Names of one or two pods, sorted; of more, the first and the last by name are not all.

    Examples
    --------
    >>> pod_names(1, "web-1", "web-1"), pod_names(2, "web-1", "web-2"), pod_names(3, "web-1", "web-3")
    (('web-1',), ('web-1', 'web-2'), ())
    """
    return tuple(sorted({first, last} - {""})) if count <= _FEW else ()


def cell_pods(ends: Iterable[End]) -> pd.DataFrame:
    """
    Count the pods at one end of cells.

    Parameters
    ----------
    ends
        Of all edges of the cells.

    Returns
    -------
    pandas.DataFrame
        By cell: ``pods``, pods of two label sets being two, and of one as many as an edge shows or as names
        tell apart; ``pod``, the name of the only one, "" where there are several or it is not known.
    """
    given = list(ends)
    frame = pd.DataFrame([end[:3] for end in given], columns=["cell", "label_set", "pods"])
    named = pd.DataFrame(
        [(end.cell, end.label_set, name) for end in given for name in end.names],
        columns=["cell", "label_set", "name"],
    ).drop_duplicates()
    most = frame.groupby(["cell", "label_set"], sort=True)["pods"].max()
    told = named.groupby(["cell", "label_set"], sort=True).size().reindex(most.index, fill_value=0)
    pods = most.where(most >= told, told).groupby(level="cell").sum()
    only = named.groupby("cell", sort=True)["name"].first().reindex(pods.index).fillna("")
    return pd.DataFrame({"pods": pods, "pod": only.where(pods == 1, "")})
