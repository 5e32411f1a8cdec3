"""
Traffic that passes, or is tried, although a reviewer rejected a rule that admits it.

It is told as it would be without that decision, for it may break or harm something; but with the decision,
and nobody offers to open again what a person closed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pandas as pd

from models.drift.confirmed import by_whom
from models.drift.judging import judge
from models.drift.night import RAW, Scene
from models.manifest.lists import opened
from models.manifest.parse import parse_objects
from models.simulation.compiled import ALLOW

#: Rejected rules that one finding names; of a hundred addresses of one port nobody reads more.
_SHOWN: Final = 2


@dataclass(frozen=True, slots=True)
class RejectedRule:
    """
    A rule that a reviewer rejected, and did not take back.

    Parameters
    ----------
    manifest
        Policy of its workload with this rule alone, rendered as an export would write it.
    title
        The rule in one line.
    reviewer, reason
        Who rejected it, and why.
    decided_at
        When; aware.
    """

    manifest: Mapping[str, Any]
    title: str
    reviewer: str
    reason: str
    decided_at: datetime

    @property
    def text(self) -> str:
        """Sentence for whoever reads of such traffic."""
        return (
            f"A rule that admits it ({self.title}) was rejected {by_whom(self.reviewer, self.decided_at)}: "
            f'"{self.reason}".'
        )


def rejected_words(rules: Iterable[RejectedRule]) -> str:
    """What is said besides of traffic that rejected rules admit; "" without any."""
    texts = list(dict.fromkeys(rule.text for rule in sorted(rules, key=_order)))
    more = len(texts) - _SHOWN
    words = "".join(f" {text}" for text in texts[:_SHOWN])
    return words + (f" So were {more} more." if more > 0 else "")


def rejected_cells(scene: Scene, rules: Iterable[RejectedRule]) -> dict[str, RejectedRule]:
    """
    Cells without a deployed rule that a rejected rule would admit, at either end of the call.

    Parameters
    ----------
    scene
        The night.
    rules
        In any order; of several that admit one cell, the one that was rejected first is named.
    """
    ordered = sorted(rules, key=_order)
    rows = scene.rows.loc[scene.rows["part"] < 0, [*RAW, "cell"]].drop_duplicates()
    if not ordered or rows.empty:
        return {}
    objects = [
        {**one, "metadata": {**one["metadata"], "name": f"{number:06}-{part}"}}
        for number, rule in enumerate(ordered)
        for part, one in enumerate(opened(rule.manifest))
    ]
    policies = parse_objects(objects, config=scene.config, linted=True)
    inside = rows[rows["peer_kind"] == "endpoint"]
    other_end = inside.assign(
        subject=inside["peer"],
        peer=inside["subject"],
        direction=inside["direction"].map({"ingress": "egress", "egress": "ingress"}),
    )
    asked = pd.concat([rows, other_end], ignore_index=True)
    judged = judge(asked, policies, scene.view, scene.config)
    admitted = (judged.verdict == ALLOW) & (judged.entry >= 0)
    found: dict[str, int] = {}
    for cell, entry in zip(asked.loc[admitted, "cell"], judged.entry[admitted].tolist(), strict=True):
        number = int(policies.entries[entry].policy.name.partition("-")[0])
        found[cell] = min(number, found.get(cell, number))
    return {cell: ordered[number] for cell, number in sorted(found.items())}


def _order(rule: RejectedRule) -> tuple[datetime, str, str, str]:
    return rule.decided_at, rule.title, rule.reviewer, rule.reason
