"""Who holds the other side: what is called from the same holder again and again is no stranger."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

import pandas as pd

#: Bits of an address that name its holder: as much as is usually handed out to one.
HOLDER_BITS: Final = {4: 24, 6: 48}


def holder_days(cells: pd.DataFrame, domains: pd.Series[Any]) -> pd.Series[Any]:
    """
    Days on which the subject called anything of the same holder.

    A holder is known by the registrable domain of its names, and by the network of its addresses.
    """
    bare = (cells["peer_kind"] == "ip").to_numpy()
    networks = {text: _network(text) for text in sorted(cells["peer"][bare].astype(str).unique())}
    holder = domains.where(~bare, cells["peer"].map(networks))
    party = pd.DataFrame({"subject": cells["subject"], "holder": holder, "days": cells["active_days"]})
    first = cells["first_date"].groupby([cells["subject"], holder]).transform("min")
    last = cells["last_date"].groupby([cells["subject"], holder]).transform("max")
    longest = party.groupby(["subject", "holder"])["days"].transform("max")
    spread = longest.where(first == last, longest.clip(lower=2))
    return spread.where(holder.notna(), cells["active_days"]).astype(float)


def _network(address: str) -> str:
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((number, HOLDER_BITS[number.version]), strict=False))
