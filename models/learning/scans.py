"""
Scans, by the sequential test on first contacts (Jung, Paxson, Berger and Balakrishnan, 2004).

A benign source reaches most of what it tries for the first time, a scanner misses most of it. The log
likelihood ratio walks up on each miss and down on each hit, never below zero, so that a long quiet past
gives no credit to a source that was taken over yesterday. The test is of a host: what one pod did is walked
for that pod, too, so that its mates' successes do not hide what it missed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

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
#: A success takes the walk back to its zero, and the scanner was there already, or goes on: silent for no
#: longer than the pauses of his run let expect, and that within these limits, in microseconds.
MIN_PAUSE_US: Final = 3_600_000_000
MAX_PAUSE_US: Final = 48 * 3_600_000_000
#: Tests that a run may stand for, however long it is: a wanted call may be made in its hours, too.
MAX_TESTS: Final = 2.0

_COLUMNS: Final = ("origin", "first_us", "hour", "fail", "days", "met", "alone", "no_probe", "pod")
_ROUNDING: Final = 1e-9  # a miss and a hit sum up to nothing
_STEP_HIT: Final = math.log(SCANNER_SUCCESS / BENIGN_SUCCESS)
_STEP_MISS: Final = math.log((1.0 - SCANNER_SUCCESS) / (1.0 - BENIGN_SUCCESS))


def scan_tests(contacts: pd.DataFrame) -> pd.Series[float]:
    """
    How much a scan speaks against each cell, in tests that fire at `FLAG_RATIO`.

    Parameters
    ----------
    contacts
        Keyed by cell: ``origin`` (who opens the connection), ``first_us`` (microseconds), ``hour`` (of
        the first flow, any numbering), ``fail`` (share of failed attempts; NaN is unknown and no
        contact), ``days`` (on which the origin met the peer, or its holder), ``met`` (it had met the holder
        before), ``alone`` (one pod may have made all of it), ``no_probe`` (it went on for hours, or to a
        name outside) and ``pod`` (that one; "" is unknown).

    Returns
    -------
    pandas.Series of float
        0 for what is part of no scan. Otherwise the log likelihood ratio of the strongest run of the origin
        in units of that of one test, in [1, `MAX_TESTS`], for the misses of a run that crossed `FLAG_RATIO`,
        and for one-day cells of the same origin within the run or in the hours of its misses: what a scanner
        hit is no more wanted than what it missed. What several pods did is not what one scanner hit, nor what
        a pod did that missed nothing, nor what went on for hours, nor what was called by its name: a scanner
        goes from address to address. A holder that was met on other days is none.
    """
    require(contacts, _COLUMNS, "contacts")
    ordered = contacts.sort_index().sort_values(["origin", "first_us"], kind="stable")
    # who reaches a holder that it has met before makes no first contact, and earns nothing by it
    hit_again = ordered["met"] & (ordered["fail"] < MISSED_SHARE)
    known = ordered.loc[ordered["fail"].notna() & ~hit_again.to_numpy(dtype=np.bool_)]
    missed = (known["fail"] >= MISSED_SHARE).to_numpy()
    lone, times = _lone(known), known["first_us"].to_numpy()
    in_run = np.zeros(len(known))
    single = (known["pod"] != "").to_numpy()
    for source, mine in ((["origin"], np.arange(len(known))), (["origin", "pod"], np.flatnonzero(single))):
        for rows in known.iloc[mine].reset_index(drop=True).groupby(source, sort=True).indices.values():
            own = mine[rows]
            in_run[own] = np.maximum(in_run[own], _runs(missed[own], lone[own], times[own]))
    hit = contacts.index.isin(known.index[(in_run > 0) & missed])
    codes, _ = group_codes(contacts, ("origin", "hour"))
    beside = np.isin(codes, codes[hit]) | contacts.index.isin(known.index[in_run > 0])
    beside &= _lone(contacts) & _by_a_scanner(contacts, hit)
    strongest = pd.Series(in_run, known.index).groupby(known["origin"]).max()
    tests = contacts["origin"].map(strongest).to_numpy(dtype=np.float64)
    return pd.Series(np.where(hit | beside, tests, 0.0), index=contacts.index, name="scan_tests")


def _lone(contacts: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """What one pod may have tried on one day: the rest cannot be what a scanner hit."""
    lone = (contacts["days"] <= 1).to_numpy() & contacts["alone"].to_numpy(dtype=np.bool_)
    return np.asarray(lone & ~contacts["no_probe"].to_numpy(dtype=np.bool_))


def _by_a_scanner(contacts: pd.DataFrame, missed: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Contacts of pods that also made misses of a scan; who is not known may be any pod of the origin."""
    unknown = (contacts["pod"] == "").to_numpy()
    pods, _ = group_codes(contacts, ("origin", "pod"))
    origins, _ = group_codes(contacts, ("origin",))
    nobody_known = missed & unknown & contacts["alone"].to_numpy(dtype=np.bool_)
    return np.isin(pods, pods[missed]) | unknown | np.isin(origins, origins[nobody_known])


def _runs(
    missed: npt.NDArray[np.bool_], lone: npt.NDArray[np.bool_], times: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """
    Tests that the run of each contact stands for; contacts sorted by time, 0 outside any run that crossed.

    Another pause of the longest kind lies before it. A run beyond doubt reaches on from one lone contact to
    the next, on both sides, over twice that: the longest pause of a few is not the longest there is.
    """
    tests = np.zeros(len(missed))
    for start, stop, peak in _crossings(missed):
        longest = np.diff(times[start:stop]).max()
        first = int(times[start] - np.clip(longest, MIN_PAUSE_US, MAX_PAUSE_US))
        last = int(times[stop - 1])
        strength = min(peak / math.log(FLAG_RATIO), MAX_TESTS)
        if strength == MAX_TESTS:
            pause = int(np.clip(2 * longest, MIN_PAUSE_US, MAX_PAUSE_US))
            before, after = np.flatnonzero(lone[:start])[::-1], stop + np.flatnonzero(lone[stop:])
            first = min(first, _reached(int(times[start]), times[before], pause))
            last = _reached(last, times[after], pause)
        reach = slice(np.searchsorted(times, first), np.searchsorted(times, last, side="right"))
        tests[reach] = np.maximum(tests[reach], strength)
    return tests


def _reached(edge: int, times: npt.NDArray[np.int64], pause: int) -> int:
    """Time of the last of the contacts that follow an edge, and each other, within a pause."""
    late = np.flatnonzero(np.abs(np.diff(times, prepend=edge)) > pause)
    count = int(late[0]) if len(late) else len(times)
    return int(times[count - 1]) if count else edge


def _crossings(missed: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int, float]]:
    """Stretches from a zero of the walk to the next that crossed the limit, and how high they went."""
    level, start, peak = 0.0, 0, 0.0
    for index, miss in enumerate(missed):
        level += _STEP_MISS if miss else _STEP_HIT
        peak = max(peak, level)
        if level < _ROUNDING:
            if peak >= math.log(FLAG_RATIO):
                yield start, index, peak
            level, start, peak = 0.0, index + 1, 0.0
    if peak >= math.log(FLAG_RATIO):
        yield start, len(missed), peak
