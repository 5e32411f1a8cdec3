"""
How well the night was listened to: a dead exporter gives "no data", never "no drift".

Compared are the hours heard against those of the window, the nodes against those of the nights before,
and the traffic against an ordinary night of the same length.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from models.drift.finding import Expectation, Finding, Kind, Severity, SubjectRef, Suggestion
from models.drift.night import Scene
from models.drift.node_gaps import NodeGap, node_gap
from models.learning.days import day_exposure

if TYPE_CHECKING:
    import pandas as pd

#: Share of the window's hours below which the night says too little to clear anybody.
MIN_HEARD: Final = 0.75
#: Share of the ordinary number of nodes below which some fell silent.
MIN_NODES: Final = 0.85
#: Share of events lost from which a quiet night proves nothing.
MAX_LOST: Final = 0.05
#: Share of an ordinary night's records below which something between the cluster and here is broken.
MIN_VOLUME: Final = 0.1
#: Records of an ordinary night below which its volume says nothing.
_BUSY_RECORDS: Final = 1000
_MIN_HISTORY_DAYS: Final = 3
#: Reason: a node was silent for some hours, all others were heard.
NODE_GAP: Final = "node_gap"
#: Longest window that is taken for one night.
MAX_NIGHT_DAYS: Final = 2.0


@dataclass(frozen=True, slots=True)
class NightCoverage:
    """
    What was heard of the window.

    Parameters
    ----------
    hours, heard_hours
        Of the window, and those in which anything arrived.
    heard_share, lost_share
        In [0, 1].
    nodes, usual_nodes
        Most nodes of an hour tonight, and on an ordinary night.
    records, usual_records
        Flows and replies tonight, and on an ordinary night of this length; ``None`` without a history.
    history_days
        Fully observed days before tonight.
    reasons
        Codes of what is missing, sorted; empty when all of the night was heard.
    gap
        A node that was silent for hours and came back.
    """

    hours: int
    heard_hours: int
    heard_share: float
    lost_share: float
    nodes: int
    usual_nodes: int
    records: int
    usual_records: int | None
    history_days: int
    reasons: tuple[str, ...]
    gap: NodeGap | None = None

    @property
    def silent(self) -> bool:
        """Whether nothing at all arrived."""
        return self.heard_hours == 0

    @property
    def heard(self) -> bool:
        """Whether silence of a workload tonight means anything; a node's gap is too short to take that."""
        return not frozenset(self.reasons) - {NODE_GAP}

    def to_json(self) -> dict[str, Any]:
        """Contract form."""
        return {
            "state": "none" if self.silent else ("partial" if self.reasons else "complete"),
            "hours": self.hours,
            "heard_hours": self.heard_hours,
            "heard_share": self.heard_share,
            "lost_share": self.lost_share,
            "nodes": self.nodes,
            "usual_nodes": self.usual_nodes,
            "records": self.records,
            "usual_records": self.usual_records,
            "history_days": self.history_days,
            "reasons": list(self.reasons),
        }


def night_coverage(scene: Scene) -> NightCoverage:
    """How well the window of a scene was heard."""
    window, frame = scene.window, scene.night.coverage
    hours = max(1, round((window.end - window.start).total_seconds() / 3600))
    if frame.empty:
        # Nothing recorded about listening: traffic itself is the only sign that somebody listened.
        heard = hours if len(scene.rows) else 0
        loss, nodes = 0.0, int(heard > 0)
        records = int(scene.rows["flows"].sum())
    else:
        alive = frame[(frame["nodes"] > 0) & (frame["flows"] + frame["replies"] > 0)]
        heard = min(int(alive["hour"].nunique()), hours)
        records = int((frame["flows"] + frame["replies"]).sum())
        lost = int(frame["lost_events"].sum())
        loss = lost / max(records + lost, 1)
        nodes = int(alive["nodes"].max()) if len(alive) else 0
    usual_nodes, usual, days = _usual(scene, hours)
    reasons = []
    share = heard / hours
    if not heard:
        reasons.append("no_data")
    elif share < MIN_HEARD:
        reasons.append("hours_missing")
    if heard and nodes < MIN_NODES * usual_nodes:
        reasons.append("nodes_missing")
    if loss > MAX_LOST:
        reasons.append("events_lost")
    if heard and usual is not None and usual >= _BUSY_RECORDS and records < MIN_VOLUME * usual * share:
        reasons.append("volume_collapsed")
    gap = None if "nodes_missing" in reasons else node_gap(frame, _listening(scene))
    reasons += [NODE_GAP] if gap is not None else []
    return NightCoverage(
        hours,
        heard,
        round(share, 4),
        round(loss, 4),
        nodes,
        max(usual_nodes, nodes),
        records,
        None if usual is None else round(usual),
        days,
        tuple(sorted(reasons)),
        gap,
    )


def _listening(scene: Scene) -> "pd.DataFrame | None":
    return None if scene.history is None else scene.history.coverage


def _usual(scene: Scene, hours: int) -> tuple[int, float | None, int]:
    """Nodes, records and number of ordinary nights."""
    if scene.history is None:
        return 0, None, 0
    frame: pd.DataFrame = scene.history.coverage
    if frame.empty:
        return 0, None, int(scene.past["day"].nunique())
    exposure = day_exposure(frame)
    full = [day for day, share in exposure.items() if share >= MIN_HEARD]
    days = frame[frame["day"].isin(full)]
    if len(full) < _MIN_HISTORY_DAYS:
        return 0, None, len(full)
    nodes = days.groupby("day")["nodes"].max()
    records = (days["flows"] + days["replies"]).groupby(days["day"]).sum()
    return int(np.median(nodes)), float(np.median(records)) * hours / 24.0, len(full)


_WHY: Final = {
    "no_data": "Nothing arrived in these {hours} hours: the exporter is down or cannot reach us, and nothing "
    "can be said about this night.",
    "hours_missing": "Only {heard} of {hours} hours were heard: what happened in the others is not known.",
    "nodes_missing": "{nodes} of usually {usual} nodes delivered: traffic of the silent ones is missing.",
    "events_lost": "{lost:.1%} of the events were lost on the way: a quiet workload may not have been quiet.",
    NODE_GAP: "{silent} of {usual} nodes delivered nothing from {since:%H:%M} to {until:%H:%M}: "
    "what happened there in those {long} hours is not known.",
    "volume_collapsed": "{records:,} records arrived where {volume:,} are usual: something filters or drops "
    "them on the way.",
}
_SEVERITY: Final = {"no_data": Severity.HIGH, "volume_collapsed": Severity.HIGH, NODE_GAP: Severity.LOW}
_REPAIR: Final = Suggestion(
    "repair_source",
    "See that every node's Hubble exporter or relay delivers; 'portolan doctor' says what arrived last.",
)


def unheard(scene: Scene, coverage: NightCoverage) -> list[Finding]:
    """One finding per way in which the night was not heard."""
    begin, end = (int(moment.timestamp()) * 1_000_000 for moment in (scene.window.start, scene.window.end))
    found = []
    for reason in coverage.reasons:
        if scene.window.days > MAX_NIGHT_DAYS and reason != "no_data":
            continue  # a window of weeks always has a gap; the coverage of the report says how large
        why = _WHY[reason].format(
            hours=coverage.hours,
            heard=coverage.heard_hours,
            nodes=coverage.nodes,
            usual=coverage.usual_nodes,
            lost=coverage.lost_share,
            records=coverage.records,
            volume=coverage.usual_records or 0,
            **_gap_words(coverage.gap),
        )
        found.append(
            Finding(
                kind=Kind.UNKNOWN,
                detector=reason,
                severity=_SEVERITY.get(reason, Severity.MEDIUM),
                confidence=1.0,
                subject=SubjectRef(),
                why=why,
                first_us=begin,
                last_us=end,
                flows=coverage.records,
                expected=Expectation("records", coverage.records, coverage.usual_records),
                suggestion=_REPAIR,
            )
        )
    return found


def _gap_words(gap: NodeGap | None) -> dict[str, Any]:
    """What the sentence about a node's gap needs; nothing where there is none."""
    if gap is None:
        return {}
    since, until = (datetime.fromtimestamp(hour * 3600, UTC) for hour in (gap.first_hour, gap.last_hour + 1))
    return {"silent": gap.nodes, "since": since, "until": until, "long": gap.hours}


#: Denials that the agents counted per one that was recorded from which records are being filtered, and how
#: many at least: counters count packets, records are sampled.
_DENIALS_PER_RECORD: Final = 20.0
_MANY_DENIALS: Final = 100.0


def unseen_denials(scene: Scene, coverage: NightCoverage, counted: float | None) -> list[Finding]:
    """
    A finding when the agents' counters show denials that the records do not.

    Parameters
    ----------
    scene, coverage
        The night.
    counted
        Packets dropped by policy in the window, by the agents' counters; ``None``: not asked.
    """
    if counted is None or coverage.silent:
        return []
    recorded = int(scene.rows["denied"].sum())
    if counted < _MANY_DENIALS or counted < _DENIALS_PER_RECORD * max(recorded, 1):
        return []
    return [
        Finding(
            kind=Kind.UNKNOWN,
            detector="denials_unseen",
            severity=Severity.MEDIUM,
            confidence=0.9,
            subject=SubjectRef(),
            why=f"The agents counted {counted:,.0f} packets dropped by policy, and {recorded:,} such records "
            "arrived: the exporter leaves drops out, so refusals are missing from this report.",
            flows=recorded,
            expected=Expectation("records of denied flows", recorded, counted / _DENIALS_PER_RECORD, counted),
            suggestion=Suggestion("repair_source", "Let the exporter's allow list include verdict DROPPED."),
        )
    ]
