"""What the command line says of an entry of the quarantine."""

import pytest

from models.domain.quarantine import Quarantined
from service.commands.held import print_entry


def entry(**differs) -> dict:
    """Entry as the API gives it, seen on two days."""
    made = Quarantined(
        id="0011",
        cell="cell",
        mirror="",
        namespace="shop",
        workload="web",
        direction="egress",
        peer=None,
        title="DNS questions for names under sync.example",
        reasons=(),
        why=(),
        ledger=(),
        p_legit=None,
        provenance="",
        first_us=0,
        last_us=90_000_000_000,
        days_seen=2,
        flows=320,
        pods=differs.get("pods", 0),
        replicas=differs.get("replicas", 0),
        samples=(),
        question="Why?",
    )
    verdict = {"ask_again_at": None}
    return made.to_json() | {
        "state": "open",
        "held": True,
        "still_seen": True,
        "verdict": verdict,
        "verdicts": [],
    }


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, ""),
        ({"pods": 1, "replicas": 3}, " from 1 of 3 pods"),
        ({"pods": 4, "replicas": 3}, " from 4 pods"),
        ({"pods": 1, "replicas": 1}, " from 1 of 1 pod"),
    ],
)
def test_pods_are_counted_where_records_name_them(capsys, counts, said):
    """DNS questions name none, and none is not zero pods."""
    print_entry(entry(**counts))
    first, last = "first 1970-01-01T00:00:00Z", "last 1970-01-02T01:00:00Z"
    assert f"seen on 2 days, 320 records{said}, {first}, {last}" in capsys.readouterr().out
