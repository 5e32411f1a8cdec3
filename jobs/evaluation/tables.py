"""The scorecard and its details as tables of text, for terminals and for documents."""

import math
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from jobs.evaluation.nouns import FAMILIES
from jobs.evaluation.pairs import PRICE_CLASSES
from jobs.evaluation.targets import PORTOLAN, ROWS, Limit, Unit, by_place, scorecard
from jobs.evaluation.truth import LEGITIMATE


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of text under a title."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """Table of Markdown."""
        lines = [f"| {' | '.join(self.headers)} |", f"|{'|'.join('---' for _ in self.headers)}|"]
        lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in self.rows]
        return "\n".join(lines)


_NOTHING: Final = "-"
_SMALL: Final = 0.001


def figure(value: object, unit: Unit) -> str:
    """A figure as text."""
    number = float(str(value))
    if math.isnan(number):
        return _NOTHING
    match unit:
        case "share":
            return f"{100 * number:.3f} %" if 0 < abs(number) < _SMALL else f"{100 * number:.1f} %"
        case "count":
            return f"{number:.0f}"
        case "seconds":
            return f"{number:.1f} s"
        case _:
            return f"{number:.3f}"


def _limit(limit: Limit, unit: Unit) -> str:
    if limit is None:
        return ""
    if isinstance(limit, tuple):
        return f"{figure(limit[0], unit)} to {figure(limit[1], unit)}"
    return figure(limit, unit)


def _limits(pair: tuple[Limit, Limit], sense: str, unit: Unit) -> str:
    texts = list(dict.fromkeys(_limit(limit, unit) for limit in pair if limit is not None))
    sign = {"most": "at most ", "least": "at least ", "within": ""}[sense]
    return f"{sign}{' / '.join(texts)}" if texts else ""


def _trials(summary: pd.DataFrame) -> list[tuple[str, str, int]]:
    found = summary[["method", "posture", "learned"]].drop_duplicates()
    order = {"balanced": 0, "generous": 1, "strict": 2}
    listed = [(str(m), str(p), int(t)) for m, p, t in found.itertuples(index=False)]
    return sorted(listed, key=lambda one: (one[0] != PORTOLAN, order[one[1]], one[2]))


def _header(trial: tuple[str, str, int]) -> str:
    method, posture, learned = trial
    return f"{posture if method == 'portolan' else method}, {learned} d"


def score_table(summary: pd.DataFrame) -> TextTable:
    """Every figure beside its floor and target, and the worst world of the first column."""
    cards = scorecard(summary)
    trials = _trials(summary)
    rows = []
    for row in ROWS:
        mine = cards[cards["title"] == row.title]
        cells = [
            row.title,
            _limits(row.floor, row.sense, row.unit),
            _limits(row.target, row.sense, row.unit),
        ]
        for trial in trials:
            one = mine[
                (mine["method"] == trial[0]) & (mine["posture"] == trial[1]) & (mine["learned"] == trial[2])
            ]
            card = one.iloc[0].to_dict()
            shown = figure(card["value"], row.unit)
            told = str(card["verdict"])
            cells.append(told if shown == _NOTHING else ", ".join(text for text in (shown, told) if text))
        cells.append(_worst(mine, trials[0]))
        rows.append(tuple(cells))
    headers = (
        "Figure",
        "Floor",
        "Target",
        *(_header(trial) for trial in trials),
        f"Worst world ({_header(trials[0])})",
    )
    return TextTable("Figures, floors and targets", headers, tuple(rows))


def _worst(cards: pd.DataFrame, trial: tuple[str, str, int]) -> str:
    one = cards[
        (cards["method"] == trial[0]) & (cards["posture"] == trial[1]) & (cards["learned"] == trial[2])
    ]
    card: dict[str, Any] = {str(key): value for key, value in one.iloc[0].to_dict().items()}
    end = "low" if card["sense"] == "least" else "high"
    if card["sense"] == "within" or card[end] is None or pd.isna(card[end]) or card["low"] == card["high"]:
        return ""
    return f"{figure(card[end], card['unit'])}: {card[f'{end}_world']}"


def _by_part(
    summary: pd.DataFrame,
    title: str,
    parts: tuple[str, ...],
    columns: tuple[tuple[str, str], ...],
    unit: Unit = "share",
    *,
    postures: tuple[str, ...] = ("balanced",),
) -> TextTable:
    """One row per part, with several metrics of Portolan in some postures and of the exact allow-list."""
    figures = by_place(summary)
    trials = [trial for trial in _trials(summary) if trial[1] in postures]
    rows = []
    for part in parts:
        cells = [part.replace("_", " ")]
        for trial in trials:
            for metric, _ in columns:
                place = (*trial, metric, part)
                found = figures.get(place)
                if found is None:
                    cells.append(_NOTHING)
                    continue
                counts = f" ({found['hits']:.0f} of {found['total']:.0f})"
                cells.append(figure(found["value"], unit) + (counts if found["total"] else ""))
        rows.append(tuple(cells))
    headers = tuple(f"{_header(trial)}: {name}" for trial in trials for _, name in columns)
    return TextTable(title, ("", *headers), tuple(rows))


_DENIED: Final = (("flows_denied_14", "flows"), ("cells_denied_14", "cells"))
_ATTACKS: Final = (
    ("attack_admitted", "admitted"),
    ("attack_surfaced", "before a reviewer"),
    ("attack_later", "later, admitted"),
)
#: Postures beside the default, in a table of their own where they were tried.
_OTHERS: Final = ("generous", "strict")


def detail_tables(summary: pd.DataFrame) -> tuple[TextTable, ...]:
    """Denials by truth class and attacks by family, per posture; what is opened outside by price class."""
    denied, attacks = "Legitimate traffic denied in 14 days, by truth class", "Attacks by family"
    found = [
        _by_part(summary, denied, LEGITIMATE, _DENIED),
        _by_part(summary, attacks, FAMILIES, _ATTACKS),
    ]
    if any(posture in _OTHERS for _, posture, _ in _trials(summary)):
        found += [
            _by_part(summary, f"{denied}, other postures", LEGITIMATE, _DENIED, postures=_OTHERS),
            _by_part(summary, f"{attacks}, other postures", FAMILIES, _ATTACKS, postures=_OTHERS),
        ]
    prices = "Egress predicates per needed outside destination, by price class"
    predicates = (("outside_predicates", "predicates"),)
    return (*found, _by_part(summary, prices, PRICE_CLASSES, predicates, "ratio"))
