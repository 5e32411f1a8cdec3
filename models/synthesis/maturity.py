"""
How long we really looked: effective days, and what may be said after so many of them.

A window of fourteen days with a day of silence from the collector is not fourteen days of observation.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import pandas as pd

from models.domain.proposal import Assumption
from models.domain.rule import Maturity
from models.domain.window import MAX_GAP_SHARE, STABLE_FROM_DAYS
from models.domain.workload import Workload
from models.frames import Observations
from models.learning.days import heard_share

MATURING_FROM_DAYS: Final = 7.0  # one whole week: every weekday was seen once
#: Share of lost events and unread records above which an hour proves presence but not absence (as
#: `reference/inference.md` §1).
MAX_LOSS_SHARE: Final = 0.02
#: Why a proposal is not ``stable`` that nothing was screened for.
NOT_SCREENED: Final = "nothing could be screened"
_UNSCREENED: Final = Assumption(
    "not_screened",
    "Too little of the window was heard to screen it: what looks odd is allowed here like everything else, "
    "and no rule says how wanted its traffic is.",
)
_HOUR_US: Final = 3600 * 1_000_000
_DAY_US: Final = 24 * _HOUR_US


@dataclass(frozen=True, slots=True)
class Observed:
    """
    How well a window was observed.

    Parameters
    ----------
    effective_days
        Days' worth of hours that were listened to without notable loss; at most the window's length.
    days
        Calendar days (UTC, ordinal) with at least one such hour, sorted.
    listened_share
        Share in [0, 1] of the window's hours.
    lost_events
        Events that Hubble said it lost.
    start_us
        Start of what was listened to, microseconds since the epoch.
    assumptions
        What had to be taken for granted.
    screened
        Whether enough was heard to tell what looks odd.
    """

    effective_days: float
    days: tuple[int, ...]
    listened_share: float
    lost_events: int
    start_us: int
    assumptions: tuple[Assumption, ...] = ()
    screened: bool = True

    def unscreened(self) -> "Observed":
        """The same where nothing could be screened, which is said."""
        return replace(self, assumptions=(*self.assumptions, _UNSCREENED), screened=False)

    def matured(self, effective_days: float) -> tuple[Maturity, str]:
        """
        Maturity after so many effective days, and in words why it is not ``stable``; "" where it is.

        What was not screened may hold an attack, and is not ``stable`` however long it was looked at.
        """
        by_days = maturity(effective_days)
        if by_days != "stable":
            needed = STABLE_FROM_DAYS if by_days == "maturing" else MATURING_FROM_DAYS
            return by_days, f"less than {needed:.0f} effective days were observed"
        return ("stable", "") if self.screened else ("maturing", NOT_SCREENED)

    def age_days(self, workload: Workload) -> float:
        """Effective days on which the workload could have been seen: not before it existed."""
        late_us = workload.first_us - self.start_us
        if late_us < _DAY_US:
            return self.effective_days
        return round(max(0.0, self.effective_days - late_us / _DAY_US), 1)

    def days_of(self, workload: Workload) -> int:
        """Calendar days on which the workload could have been seen."""
        born = workload.first_us // _DAY_US + date(1970, 1, 1).toordinal()
        return sum(day >= born for day in self.days)


def maturity(effective_days: float) -> Maturity:
    """
    What may be said after so many effective days.

    Examples
    --------
    >>> maturity(6.9), maturity(13.9), maturity(14.0)
    ('learning', 'maturing', 'stable')
    """
    if effective_days >= STABLE_FROM_DAYS:
        return "stable"
    return "maturing" if effective_days >= MATURING_FROM_DAYS else "learning"


def observed(observations: Observations) -> Observed:
    """
    How well the window was observed, from its coverage.

    A record that could not be read is missing like one that was lost. Without any coverage rows the days
    that have edges are taken as fully observed, and it is said.
    """
    window = observations.window
    start_us = int(window.start.timestamp()) * 1_000_000
    coverage = observations.coverage
    if coverage.empty:
        days = sorted(
            {date.fromisoformat(str(day)).toordinal() for day in observations.edge_days["day"].unique()}
        )
        first = observations.edge_days["first_us"].min() if len(observations.edge_days) else start_us
        assumed = Assumption(
            "coverage_unknown",
            "No coverage was recorded: every day with traffic is taken as fully observed.",
        )
        return Observed(float(min(len(days), window.days)), tuple(days), 1.0, 0, int(first), (assumed,))
    measures = ["nodes", "seconds", "flows", "replies", "lost_events", "rejects"]
    hours = coverage.groupby(["day", "hour"], sort=True)[measures].sum()
    hours["heard"] = heard_share(hours)
    seen = hours["flows"] + hours["replies"]
    missed = hours["lost_events"] + hours["rejects"]
    loss = missed / (seen + missed).clip(lower=1)
    good = hours[(hours["nodes"] > 0) & (loss <= MAX_LOSS_SHARE)].reset_index()
    listened = float(good["heard"].sum())
    wanted = max(1, round(window.days * 24))
    share = min(1.0, listened / wanted)
    effective = window.days if share >= 1 - MAX_GAP_SHARE else listened / 24
    first_hour = int(good["hour"].min()) * _HOUR_US if listened else start_us
    return Observed(
        effective_days=round(min(effective, window.days), 1),
        days=tuple(sorted(date.fromisoformat(str(day)).toordinal() for day in good["day"].unique())),
        listened_share=round(share, 4),
        lost_events=int(pd.to_numeric(coverage["lost_events"]).sum()),
        start_us=max(start_us, first_hour),
    )
