"""
Attack cells told apart by whether a policy could have refused them at all.

A policy knows labels and ports. Where an intruder takes a way that wanted traffic of the same labels takes,
as where no label tells the workloads of a team from each other or where everybody asks the resolver, whoever
admits the one admits the other. And where no question is seen, no tunnel is. These rows stand beside those
that count every cell.
"""

from typing import Any, Final

import numpy as np
import pandas as pd

from jobs.evaluation.counts import Measured
from jobs.evaluation.world import World

#: Metric of these rows, and of those of cells with a gate under default deny.
APART: Final = "attack_admitted_apart"
GUARDED: Final = "attack_admitted_guarded"
#: Families of which every way is in doubt, so that some of them are wanted ways.
SCANS: Final = ("horizontal_scan", "slow_scan")
#: Families that the method wants refused at every gate.
REFUSED: Final = (*SCANS, "generated_domains", "exec_debug")
TUNNEL: Final = "dns_tunnel"
DNS_SEEN: Final = "dns_tunnel, DNS seen"
DNS_UNSEEN: Final = "dns_tunnel, DNS not seen"
#: A resolver is asked over both, because a truncated answer is asked for again.
_DNS_PROTOCOLS: Final = ("TCP", "UDP")


def measure_apart(measured: Measured, world: World, seen: pd.DataFrame, uses: pd.DataFrame) -> None:
    """
    Count the cells of scans on ways that no wanted traffic of the same labels takes, and closed gates.

    Of all that must be refused, those cells that pass a gate under default deny are counted once more. Wanted
    ways are those of the whole window: labels with a version in them are others on its last day.

    Parameters
    ----------
    world
        With its truth.
    seen
        Links of the window as they are on its last day: ``family cell allowed guarded``.
    uses
        All uses of the window: ``link client_set server_set``.
    """
    attack = np.array([one.attack for one in world.links], dtype=np.bool_)[uses["link"].to_numpy()]
    ends = uses.loc[~attack, ["link", "client_set", "server_set"]].drop_duplicates()
    wanted = {way for row in ends.itertuples(index=False) for way in _ways(world, row)}
    for family in SCANS:
        rows = seen[seen["family"] == family]
        apart = [not wanted.intersection(_ways(world, row)) for row in rows.itertuples(index=False)]
        own = np.array(apart, dtype=np.bool_)
        cells = rows[own].groupby("cell")["allowed"].all()
        measured.add(APART, int(cells.sum()), len(cells), family)
    for family in REFUSED:
        rows = seen[(seen["family"] == family) & seen["guarded"]]
        cells = rows.groupby("cell")["allowed"].all()
        measured.add(GUARDED, int(cells.sum()), len(cells), family)


def measure_tunnels(measured: Measured, world: World, asked: pd.DataFrame) -> None:
    """
    Count the questions of tunnels by whether the DNS of who asked was seen, and his way out was closed.

    Parameters
    ----------
    world
        With its truth.
    asked
        `jobs.evaluation.judging.Judge.questions` of the window.
    """
    tunnel = asked[asked["family"] == TUNNEL]
    seen = world.visible[tunnel["client"].to_numpy(dtype=int)]
    for part, rows in ((DNS_SEEN, tunnel[seen]), (DNS_UNSEEN, tunnel[~seen])):
        measured.add(APART, int(rows["admitted"].sum()), len(rows), part)
    guarded = tunnel[seen & tunnel["guarded"].to_numpy(dtype=np.bool_)]
    measured.add(GUARDED, int(guarded["admitted"].sum()), len(guarded), DNS_SEEN)


def _ways(world: World, row: Any) -> list[tuple[str, str, str, int]]:
    """Labels of both ends, protocol and port of a link inside the cluster."""
    if row.client_set < 0 or row.server_set < 0:
        return []
    link = world.links[row.link]
    ends = (world.label_sets[row.client_set].key, world.label_sets[row.server_set].key)
    protocols = _DNS_PROTOCOLS if link.kind == "dns" else (link.protocol,)
    return [(*ends, protocol, link.port) for protocol in protocols]
