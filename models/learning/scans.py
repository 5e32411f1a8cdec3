"""
Scans, by the sequential test on first contacts (Jung, Paxson, Berger and Balakrishnan, 2004).

A benign source reaches most of what it tries for the first time, a scanner misses most of it. The log
likelihood ratio walks up on each miss and down on each hit, never below zero, so that a long quiet past
gives no credit to a source that was taken over yesterday. The test is of a host: what one pod did is walked
for that pod, too, so that its mates' successes do not hide what it missed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.learning.base import require
from models.learning.cells import group_codes

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Probability that a first contact succeeds, for a benign source and for a scanner (method, section 5).
BENIGN_SUCCESS: Final = 0.8
SCANNER_SUCCESS: Final = 0.2
#: Likelihood ratio from which a source is called a scanner.
FLAG_RATIO: Final = 100.0
#: Share of failed attempts from which a first contact counts as missed.
MISSED_SHARE: Final = 0.5
#: One early success takes the walk back to its zero, and the scanner was there already: silent for no longer
#: than for the longest pause of his run, and that within these limits, in microseconds.
MIN_BEFORE_US: Final = 3_600_000_000
MAX_BEFORE_US: Final = 48 * 3_600_000_000

_ROUNDING: Final = 1e-9  # a miss and a hit sum up to nothing
_STEP_HIT: Final = math.log(SCANNER_SUCCESS / BENIGN_SUCCESS)
_STEP_MISS: Final = math.log((1.0 - SCANNER_SUCCESS) / (1.0 - BENIGN_SUCCESS))


def scan_flags(contacts: pd.DataFrame) -> pd.Series[Any]:
    """
    Cells that are part of a scan.

    Parameters
    ----------
    contacts
        Keyed by cell: ``origin`` (who opens the connection), ``first_us`` (microseconds), ``hour`` (of
        the first flow, any numbering), ``fail`` (share of failed attempts; NaN is unknown and no
        contact), ``days`` (on which the origin met the peer, or its holder), ``alone`` (one pod may have
        made all of it), ``no_probe`` (it went on for most of the day, or to a name outside)
        and ``pod`` (that one; "" is unknown).

    Returns
    -------
    pandas.Series of bool
        True for the misses of a run that crossed `FLAG_RATIO`, and for one-day cells of the same origin
        within the run or in the hours of its misses: what a scanner hit is no more wanted than what it
        missed. What several pods did is not what one scanner hit, nor what a pod did that missed nothing,
        nor what went on all day, nor what was called by its name: a scanner goes from address to address.
        A holder that was met on other days is none.
    """
    require(contacts, ("origin", "first_us", "hour", "fail", "days", "alone", "no_probe", "pod"), "contacts")
    ordered = contacts.sort_index().sort_values(["origin", "first_us"], kind="stable")
    known = ordered.loc[ordered["fail"].notna()]
    missed = (known["fail"] >= MISSED_SHARE).to_numpy()
    in_run = np.zeros(len(known), dtype=np.bool_)
    single = (known["pod"] != "").to_numpy()
    for source, mine in ((["origin"], np.arange(len(known))), (["origin", "pod"], np.flatnonzero(single))):
        for rows in known.iloc[mine].reset_index(drop=True).groupby(source, sort=True).indices.values():
            in_run[mine[rows]] |= _flagged_run(missed[mine[rows]], known["first_us"].to_numpy()[mine[rows]])
    hit = known.loc[in_run & missed]
    codes, _ = group_codes(contacts, ("origin", "hour"))
    beside = np.isin(codes, codes[contacts.index.isin(hit.index)])
    beside |= contacts.index.isin(known.index[in_run])
    beside &= (contacts["days"] <= 1).to_numpy() & contacts["alone"].to_numpy(dtype=np.bool_)
    beside &= ~contacts["no_probe"].to_numpy(dtype=np.bool_)
    beside &= _by_a_scanner(contacts, contacts.index.isin(hit.index))
    flagged = contacts.index.isin(hit.index) | beside
    return pd.Series(flagged, index=contacts.index, name="scan")


def _by_a_scanner(contacts: pd.DataFrame, missed: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Contacts of pods that also made misses of a scan; who is not known may be any pod of the origin."""
    unknown = (contacts["pod"] == "").to_numpy()
    pods, _ = group_codes(contacts, ("origin", "pod"))
    origins, _ = group_codes(contacts, ("origin",))
    nobody_known = missed & unknown & contacts["alone"].to_numpy(dtype=np.bool_)
    return np.isin(pods, pods[missed]) | unknown | np.isin(origins, origins[nobody_known])


def _flagged_run(missed: npt.NDArray[np.bool_], times: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Contacts, sorted by time, of the runs that crossed the limit, and of shortly before each."""
    flagged = np.zeros(len(missed), dtype=np.bool_)
    for start, stop in _crossings(missed):
        pause = int(np.diff(times[start:stop]).max())
        begun = times[start] - np.clip(pause, MIN_BEFORE_US, MAX_BEFORE_US)
        flagged[np.searchsorted(times, begun) : stop] = True
    return flagged


def _crossings(missed: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Stretches from a zero of the walk to its return to zero that crossed the limit between."""
    level, start, crossed = 0.0, 0, False
    for index, miss in enumerate(missed):
        level += _STEP_MISS if miss else _STEP_HIT
        crossed |= level >= math.log(FLAG_RATIO)
        if level < _ROUNDING:
            if crossed:
                yield start, index
            level, start, crossed = 0.0, index + 1, False
    if crossed:
        yield start, len(missed)
