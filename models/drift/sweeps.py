"""Sweeps that nothing stops: calls that no rule allows and nobody answers, more than usual for the caller."""

from typing import Final

from models.drift.finding import Finding, Kind, Severity, Suggestion
from models.drift.gates import FRUITLESS, GateSeries, episodes, expected
from models.drift.night import Scene
from models.drift.places import subject_of
from models.drift.refused import MIN_SWEEP
from models.drift.standing import Standing

_LISTED: Final = 20


def sweeps(scene: Scene, standing: Standing, series: GateSeries) -> list[Finding]:
    """
    Find callers whose unanswered calls stand out tonight and go where they never went.

    Parameters
    ----------
    scene, standing
        The night.
    series
        Of kind ``fruitless``.
    """
    predicted = series.predicted
    if predicted is None:
        return []
    missed = scene.rows[(episodes(scene.rows, FRUITLESS) > 0) & scene.rows["cell"].isin(standing.new)]
    missed = missed[missed["direction"] == "egress"]
    found = []
    for owner, rows in missed.groupby("owner", sort=True):
        place = series.place(str(owner), "egress")
        workload = scene.view.workload(str(rows["subject"].iloc[0]))
        if place is None or workload is None or not predicted.flagged[place]:
            continue
        peers = rows["peer"].nunique()
        if peers < MIN_SWEEP:
            continue
        ports = tuple(sorted(set(zip(rows["protocol"].tolist(), rows["port"].tolist(), strict=True))))
        chance = float(predicted.chance[place])
        subject = subject_of(workload)
        found.append(
            Finding(
                kind=Kind.SUSPICIOUS,
                detector="sweep",
                severity=Severity.CRITICAL,
                confidence=round(1.0 - min(chance, 0.5), 4),
                subject=subject,
                direction="egress",
                about="sweep",
                ports=ports[:_LISTED],
                first_us=int(rows["first_us"].min()),
                last_us=int(rows["last_us"].max()),
                flows=int(rows["flows"].sum()),
                expected=expected(series, place, "hours of calls without an answer"),
                why=f"{subject.title} called {peers} peers it had never called before on {len(ports)} ports, "
                "and none of them answered: it is looking for something.",
                suggestion=Suggestion("investigate", "Look into its pods before anything is allowed."),
                verdicts=(("forwarded", int(rows["flows"].sum())),),
            )
        )
    return found
