"""docs/confidence.md has the exchange rates of the postures."""

from dataclasses import fields

from models.synthesis.exchange import EXCHANGE, Exchange
from tests.support import ROOT


def row(posture: str, rates: Exchange) -> str:
    """The numbers in the order of the fields, and behind the denial what it is worth in pairs."""
    numbers = [getattr(rates, field.name) for field in fields(rates)]
    numbers.insert(2, rates.pairs_per_denial)
    return f"| `{posture}` | {' | '.join(f'{number:g}' for number in numbers)} |"


def test_the_table_of_postures_is_the_exchange_rates():
    """Every posture with every number; no other."""
    text = (ROOT / "docs" / "confidence.md").read_text(encoding="utf-8")
    table = text.split("| posture |")[1].split("\n\n")[0].splitlines()
    assert [line for line in table[2:] if line] == [row(name, rates) for name, rates in EXCHANGE.items()]
    assert table[0].count("|") == len(fields(Exchange)) + 1
