"""Who holds the other side: what is called from the same holder again and again is no stranger."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.learning import bitmaps
from models.learning.cells import group_codes

#: Bits of an address that name its holder: as much as is usually handed out to one.
HOLDER_BITS: Final = {4: 24, 6: 48}


@dataclass(frozen=True)
class Holders:
    """
    What each subject had to do with the holder of each cell; without a holder, with the cell itself.

    Parameters
    ----------
    days
        Days on which the subject called anything of the holder, keyed by cell. Two days that were not fully
        observed count as two, as far as first and last sight tell.
    bits
        The fully observed ones among them, in the order of the cells.
    first_date
        ISO date of the first call, on whatever kind of day, keyed by cell.
    first_us
        Microseconds of the first call, keyed by cell.
    """

    days: pd.Series[float]
    bits: npt.NDArray[np.uint64]
    first_date: pd.Series[str]
    first_us: pd.Series[int]


def holders_of(cells: pd.DataFrame, domains: pd.Series[Any]) -> Holders:
    """
    Put the cells of one subject and holder together.

    A holder is known by the registrable domain of its names, and by the network and the port of its
    addresses.

    Parameters
    ----------
    cells
        `DayIncidence.cells_`.
    domains
        Registrable domain by cell; missing where there is none.
    """
    bare = (cells["peer_kind"] == "ip").to_numpy()
    addresses = cells.loc[bare, "peer"].astype(str)
    networks = {text: _network(text) for text in sorted(addresses.unique())}
    holder = domains.astype("object")
    holder.loc[bare] = addresses.map(networks).astype(str) + "|" + cells.loc[bare, "port"].astype(str)
    held = holder.notna()
    keys = pd.DataFrame({"subject": cells["subject"], "holder": holder.fillna("")})
    codes, _ = group_codes(keys, ("subject", "holder"))
    own = cells["days"].to_numpy(dtype=np.uint64)
    together = np.zeros(int(codes.max(initial=-1)) + 1, dtype=np.uint64)
    np.bitwise_or.at(together, codes, own)
    days = pd.Series(bitmaps.count_bits(together)[codes], index=cells.index)
    by_holder = [cells["subject"], holder]
    first = cells["first_date"].groupby(by_holder).transform("min")
    last = cells["last_date"].groupby(by_holder).transform("max")
    longest = cells["active_days"].groupby(by_holder).transform("max")
    spread = longest.where(first == last, longest.clip(lower=2))
    known = pd.Series(np.maximum(days, spread), index=cells.index)
    met = cells["first_us"].groupby(by_holder).transform("min")
    return Holders(
        known.where(held, cells["active_days"]).astype(float),
        np.where(held.to_numpy(), together[codes], own),
        first.where(held, cells["first_date"]),
        met.where(held, cells["first_us"]).astype("int64"),
    )


def _network(address: str) -> str:
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((number, HOLDER_BITS[number.version]), strict=False))
