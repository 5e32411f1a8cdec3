"""
Confidence beside every rule and every direction of a draft, and the calibration that says what it is worth.

Everything is computed on the cells of the drafted policy (`models.confidence.policy_cells`), so the numbers
speak of what the policy admits and not of single addresses or pods.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from models.confidence.calendar import CRON_COLUMNS
from models.confidence.calibration import carry_horizon
from models.confidence.completeness import MIN_DAYS, READINESS_RISKS, Completeness
from models.confidence.legitimacy import Legitimacy
from models.confidence.policy_cells import PolicyCells, cell_titles, cells_noun, policy_cells
from models.confidence.report import CalibrationReport, calibrate
from models.confidence.scheduled import by_schedule, job_owned, jobs_of, never_ran, with_runs
from models.confidence.score import TOO_LITTLE, RuleConfidence, need_ledger
from models.confidence.silence import why_unknown
from models.confidence.totals import DIGITS, totals
from models.domain import confidence as domain
from models.frames import records
from models.learning.evidence import Evidence
from models.learning.recurrence import CONFIDENCE_HORIZON, HORIZON, Recurrence
from models.learning.rhythms import Rhythms
from models.synthesis.raw_cells import workload_id
from models.synthesis.untold import UNTOLD_FLAG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.domain.cron_job import CronJob
    from models.domain.proposal import DirectionDecision, Proposal
    from models.domain.rule import Maturity, Rule
    from models.frames import Observations
    from models.synthesis.draft import Draft

#: Risk of any denial within `HORIZON` days up to which a direction is ready for ``stable``: the largest
#: at which readiness is told. After two weeks hardly any policy is ready at less (method, section 4).
STABLE_RISK: Final = READINESS_RISKS[-1]
#: Why an assumed rule has no number.
ASSUMED: Final = "assumed: nothing of it was seen"
#: Why a rule for traffic whose ends nobody can tell has none.
UNTOLD: Final = "who was at the other end, or who called, is not told"
#: Chance of being wanted below which no automation may approve a rule: more speaks against it than for it.
MIN_LEGIT: Final = 0.5
REVIEW: Final = "needs_review"
UNLIKELY: Final = "By its evidence it is more likely unwanted than wanted."
#: Likelihood ratio at which the tests of the screening fire (method, section 5).
FIRED_RATIO: Final = 100.0
_UNIT: Final = ["subject", "direction"]
#: What is said of the cells that a rule's numbers come from.
_SHOWN: Final = [
    "p_need_7d",
    "p_habit",
    "days_seen",
    "returns",
    "opportunities",
    "first_date",
    "last_date",
    "denied",
    "rhythm",
    "unknown",
]
_PARTS: Final = ("rare", "births", "calendar", "held_back")


@dataclass(frozen=True)
class Confident:
    """
    What a run knows about its own certainty.

    Parameters
    ----------
    proposals
        With confidence per rule and completeness per direction.
    calibration
        How forecasts of this estate fared on weeks that they had not seen, in contract form.
    forecast
        What all policies together would deny, for the cluster and per namespace, in contract form.
    """

    proposals: tuple[Proposal, ...]
    calibration: dict[str, Any]
    forecast: dict[str, Any]


def confident(
    draft: Draft,
    proposals: Sequence[Proposal],
    observations: Observations,
    cron_jobs: Sequence[CronJob] = (),
) -> Confident:
    """
    Put numbers beside the proposals of a draft.

    Parameters
    ----------
    draft
        Of these observations.
    proposals
        Of the draft, replayed.
    observations
        ``edge_days`` and ``coverage``.
    cron_jobs
        Those the cluster told of.
    """
    cells = policy_cells(draft, observations)
    owned = job_owned(cells.cells, proposals)
    report = calibrate(cells.admitted.join(owned), cells.days)
    timed = with_runs(cells.cells, cells.days, cron_jobs, proposals, CONFIDENCE_HORIZON).join(owned)
    legit = Legitimacy(draft, cells)
    scored = _scored(cells, legit, report, timed)
    far = RuleConfidence().fit(cells.rules, scored, cells.days)
    near = RuleConfidence().fit(cells.rules, scored.assign(p_need=scored["p_need_7d"]), cells.days)
    numbers = far.scores_.assign(p_need_7d=near.scores_["p_need"])
    units = pd.DataFrame(
        [(one.key, way) for one in proposals for way in ("egress", "ingress") if one.decision(way).enforced],
        columns=_UNIT,
    )
    held = _held_back(scored.loc[cells.held_back], draft)
    # what lacks evidence, with nothing against it, tells like what has a rule how often such calls come anew
    lacking = [draft.screened.lacks_evidence(_cell(draft, place)) for place in held["place"]]
    complete = Completeness().fit(
        timed.loc[[*cells.admitted.index, *held.index[lacking]]],
        cells.days,
        units=units,
        held_back=held,
        jobs=jobs_of(cron_jobs, proposals),
        deployed=_deployed(draft),
    )
    ledger = _Ledger(legit, cells, scored, numbers, complete.reason_)
    table = complete.completeness_.to_dict("index")
    done = [_reviewed(_attached(proposal, ledger, complete, table)) for proposal in proposals]
    silent = never_ran(cron_jobs, proposals, cells.days.full[-1], HORIZON) if cells.days.full else ()
    forecast = totals(complete, report, proposals, cron_jobs)
    forecast["not_observed"] += silent
    return Confident(tuple(done), report.to_json(), forecast)


def _deployed(draft: Draft) -> frozenset[str]:
    """Proposals of which a workload got a new pod template in the window."""
    rolled_out = draft.screened.deployed
    return frozenset(
        draft.ledger.proposal_of[key]
        for key, workload in draft.view.workloads.by_label_key.items()
        if key in draft.ledger.proposal_of and workload_id(workload) in rolled_out
    )


def _scored(
    cells: PolicyCells, legit: Legitimacy, report: CalibrationReport, timed: pd.DataFrame
) -> pd.DataFrame:
    """
    Cells with ``p_need_7d``, ``p_need`` (35 days), `Legitimacy.of_cell` and ``rhythm``.

    ``p_habit`` is ``p_need`` without what schedules say: no held-out week knew of them, so neither the
    calibration nor the way from one horizon to the other may see them. All three are NaN where ``unknown``
    says why.
    """
    model = Recurrence(HORIZON).fit(cells.admitted, cells.days)
    near = model.predict(timed, cells.days)
    far = model.predict(timed, cells.days, CONFIDENCE_HORIZON)
    shown = report.recalibration.predict(near, cells.cells["zone"])
    carried = carry_horizon(shown, near, far)
    week, month = by_schedule(shown, timed, HORIZON), by_schedule(carried, timed, CONFIDENCE_HORIZON)
    moved = (week - shown).abs().combine((month - carried).abs(), max)
    told = timed["cron_expected"].notna() if "cron_expected" in timed else timed["job_owned"] & False
    unknown = why_unknown(cells, timed, shown, told)
    return timed.join(legit.of_cell).assign(
        p_need_7d=week.mask(unknown != ""),
        p_need=month.mask(unknown != ""),
        p_habit=carried.mask(unknown != ""),
        schedule_moved=moved.where(told),
        unknown=unknown,
        rhythm=Rhythms().fit(timed, cells.days).rhythm_,
    )


def _held_back(cells: pd.DataFrame, draft: Draft) -> pd.DataFrame:
    """
    Cells without a rule, with the chance that each is legitimate traffic of next week.

    What a test of the screening fired on is a hundred times less likely wanted than its score says, for that
    is the likelihood ratio at which its tests fire, and once more for each further test
    (`models.synthesis.screened.Screened.fired`). What is calibrated on verdicts needs no such guess: all of
    those were given on cells that a test had fired on. Without screening, what works is taken as wanted.
    """
    legit = np.clip(cells["p_legit"].fillna(1.0).to_numpy(dtype=np.float64), 0.0, 1.0 - 1e-9)
    known = cells["provenance"].to_numpy() == domain.CALIBRATED
    fired = np.array([draft.screened.fired(_cell(draft, place)) for place in cells["place"]])
    fired = np.where(known, 0, fired)
    odds = legit / (1.0 - legit) / FIRED_RATIO**fired
    return cells.assign(p_need=cells["p_need_7d"], p_legit=odds / (1.0 + odds))


def _cell(draft: Draft, place: float) -> str:
    """Raw cell of an edge."""
    return draft.screened.raw.cell_of[int(place)]


class _Ledger:
    """Numbers and sentences by rule; ``too_little`` says why ``p_need`` has none."""

    def __init__(
        self,
        legit: Legitimacy,
        cells: PolicyCells,
        scored: pd.DataFrame,
        scores: pd.DataFrame,
        too_little: str,
    ) -> None:
        self._too_little = too_little
        self._days = cells.days
        told = pd.Index(scores["needed"]).union(pd.Index(scores["scheduled"])).intersection(scored.index)
        columns = [*_SHOWN, *scored.columns.intersection([*CRON_COLUMNS])]
        self._rows = dict(zip(told.tolist(), records(scored.loc[told, columns]), strict=True))
        self._scores = dict(zip(scores.index.tolist(), records(scores), strict=True))
        self._wanted = legit.ledgers(pd.Index(scores["doubtful"]))
        doubted = legit.of_cell["doubted"].reindex(pd.Index(scores["doubtful"]).unique())
        self._doubted = dict(zip(doubted.index.tolist(), doubted.tolist(), strict=True))

    def of(self, rule: Rule) -> domain.Confidence:
        """Confidence of a rule."""
        if rule.evidence.assumed:
            return domain.Confidence(band=TOO_LITTLE, reason=ASSUMED)
        if UNTOLD_FLAG in rule.flags:
            return domain.Confidence(band=TOO_LITTLE, reason=UNTOLD)
        score = self._scores.get(rule.id)
        if score is None:
            return domain.Confidence(band=TOO_LITTLE, reason=TOO_LITTLE)
        numbers = {
            name: _probability(score[name]) for name in ("p_need_7d", "p_need", "p_legit", "confidence")
        }
        needed = self._rows[score["needed"]]
        arguments: list[Evidence] = []
        several = score["cells"] > 1
        titles = cell_titles(rule) if several else {}
        if numbers["p_need"] is not None:
            arguments += need_ledger(
                score,
                needed,
                self._days,
                self._rows.get(score["scheduled"]),
                among=f"{score['cells']} {cells_noun(rule)}" if several else "",
                best=titles.get(score["needed"], ""),
            )
        doubtful = score["doubtful"]
        whose = [titles.get(doubtful, rule.peer.title)] if several else []
        whose += [self._doubted[doubtful]] if self._doubted.get(doubtful) else []
        arguments += _whose(self._wanted.get(doubtful, ()), ": ".join(whose))
        return domain.Confidence(
            **numbers,
            band=str(score["band"]),
            reason=""
            if numbers["confidence"] is not None
            else self._missing(numbers, str(needed["unknown"])),
            provenance=str(score["provenance"]),
            rhythm=str(needed["rhythm"]),
            ledger=tuple(domain.Argument(one.name, round(one.bits, 2), one.because) for one in arguments),
        )

    def _missing(self, numbers: dict[str, float | None], unknown: str) -> str:
        """Why there is no confidence; "" where there is one."""
        if numbers["confidence"] is not None:
            return ""
        if numbers["p_legit"] is not None:  # only the word on its use is missing
            return unknown
        return (self._too_little if numbers["p_need"] is None else "") or TOO_LITTLE


def _whose(arguments: Sequence[Evidence], name: str) -> list[Evidence]:
    """Arguments about one of the ends that a rule has, with its name before what is said of it alone."""
    if not name:
        return list(arguments)
    most = f"{name}, the most doubtful"
    return [
        Evidence(one.name, one.bits, f"{name if number else most}: {one.because}")
        for number, one in enumerate(arguments)
    ]


def _reviewed(proposal: Proposal) -> Proposal:
    """Whose evidence speaks more against a rule than for it wants a person for that rule."""
    rules = tuple(
        replace(rule, flags=tuple(sorted({*rule.flags, REVIEW})), reasons=(*rule.reasons, UNLIKELY))
        if "admitted" not in rule.flags
        and rule.confidence.p_legit is not None
        and rule.confidence.p_legit < MIN_LEGIT
        else rule
        for rule in proposal.rules
    )
    doubted = any(UNLIKELY in rule.reasons for rule in rules)
    flags = tuple(sorted({*proposal.flags, REVIEW})) if doubted else proposal.flags
    return replace(proposal, rules=rules, flags=flags)


def _probability(value: float) -> float | None:
    return None if math.isnan(value) else domain.shown_probability(value)


def _attached(
    proposal: Proposal, ledger: _Ledger, complete: Completeness, table: dict[Any, dict[Any, Any]]
) -> Proposal:
    decisions = {
        way: _decided(proposal.decision(way), table.get((proposal.key, way)), complete)
        for way in ("ingress", "egress")
    }
    matured, why_not_stable = _matured(proposal, complete, decisions)
    return replace(
        proposal,
        rules=tuple(replace(rule, confidence=ledger.of(rule)) for rule in proposal.rules),
        ingress=decisions["ingress"],
        egress=decisions["egress"],
        maturity=matured,
        why_not_stable=why_not_stable,
    )


def _matured(
    proposal: Proposal, complete: Completeness, decisions: Mapping[str, DirectionDecision]
) -> tuple[Maturity, str]:
    """
    Maturity that the forecast leaves, and why it is not ``stable``.

    Two weeks of hours are not two weeks of days, and a policy that is likely to deny something next week is
    one to wait with, however long was looked: what cannot be forecast or is not ready is not stable.
    """
    if proposal.maturity != "stable":
        return proposal.maturity, proposal.why_not_stable
    # without numbers: the files of a night say the same as long as nothing else changes
    if not complete.estimable_:
        return "maturing", f"fewer than {MIN_DAYS} days were heard well enough for a forecast"
    if complete.provisional_:
        return "maturing", "less than two weeks' worth of capture arrived"
    unready = [
        way
        for way, one in sorted(decisions.items())
        if one.completeness.ready and not dict(one.completeness.ready)[STABLE_RISK]
    ]
    if unready:
        return "maturing", (
            f"not ready at a risk of {100 * STABLE_RISK:.0f} % that {' and '.join(unready)} "
            f"{'denies' if len(unready) == 1 else 'deny'} something legitimate within {HORIZON} days"
        )
    return "stable", ""


def _decided(
    decision: DirectionDecision, row: dict[Any, Any] | None, complete: Completeness
) -> DirectionDecision:
    if not decision.enforced or row is None:
        open_way = domain.Completeness(reason="left open: nothing is denied")
        return replace(decision, completeness=open_way)
    told = domain.Completeness(
        provisional=complete.provisional_, reason=complete.reason_, uncovered=complete.uncovered_
    )
    if not complete.estimable_:
        return replace(decision, completeness=told)
    return replace(
        decision,
        completeness=replace(
            told,
            no_denial=domain.shown_probability(1.0 - row["p_any"]),
            expected=round(float(row["expected"]), DIGITS),
            interval=(int(row["low"]), int(row["high"])),
            parts=tuple((name, round(float(row[name]), DIGITS)) for name in _PARTS),
            flows=_magnitude(float(row["flows_denied"])),
            ready=tuple((risk, bool(row["p_any"] <= risk)) for risk in READINESS_RISKS),
        ),
    )


def _magnitude(flows: float) -> float:
    """One significant digit: more would be a promise."""
    return float(f"{flows:.1g}")
