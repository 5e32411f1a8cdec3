"""Evidence a reviewer can argue with: a name, its weight in bits, and a sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scipy.special import expit

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    One argument for or against a cell.

    Parameters
    ----------
    name
        Stable identifier of the argument, such as ``persistence``.
    bits
        Log2 odds it adds; above zero it speaks for the traffic being wanted.
    because
        One sentence with the numbers behind it, such as "seen on 12 of 14 days".
    """

    name: str
    bits: float
    because: str

    @classmethod
    def from_log_odds(cls, name: str, log_odds: float, because: str) -> Evidence:
        """Evidence whose weight is given in natural log odds."""
        return cls(name, log_odds / math.log(2.0), because)

    @property
    def log_odds(self) -> float:
        """Weight in natural log odds."""
        return self.bits * math.log(2.0)


def total_bits(evidence: Iterable[Evidence], prior_bits: float = 0.0) -> float:
    """
    Log2 odds that the traffic is wanted; every term is shown to the reviewer.

    Adding assumes independent evidence, which is why the total is calibrated afterwards.

    Examples
    --------
    >>> total_bits([Evidence("zone", 2.0, ""), Evidence("persistence", -0.5, "")])
    1.5
    """
    return prior_bits + math.fsum(item.bits for item in evidence)


def probability(bits: float) -> float:
    """
    Probability of log2 odds.

    Examples
    --------
    >>> probability(0.0), round(probability(3.0), 3)
    (0.5, 0.889)
    """
    return float(expit(bits * math.log(2.0)))
