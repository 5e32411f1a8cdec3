"""
Postures as exchange rates: how many openings one is willing to pay to avoid one expected denial.

The objective is in units of one rule. ``alpha`` is the price of an identity and port pair that nobody
was seen to use, ``mu`` that of one expected legitimate denial, ``lam`` that of a line (method, section 7).
Strict and balanced differ inside the cluster and outside, generous is generous everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # whoever shows the rates does not wait for the libraries of learning
    from models.synthesis.view import Posture


@dataclass(frozen=True, slots=True)
class Exchange:
    """
    Exchange rates of a posture.

    Parameters
    ----------
    alpha
        Price of one identity and port pair beyond what was seen.
    mu_inside, mu_outside
        Price of one expected legitimate denial inside the cluster, and outside of it.
    lam_names, lam_roles
        Price of a line: of a name or address, and of a role.
    addresses, unseen_addresses
        Unseen addresses that the prefixes of one workload's port may add: at most, and for each one seen.
    moving
        Unseen addresses that all networks within which its destinations move may add beside these. They save
        denials and not lines alone, so that four of them are worth their while where a list is not.
    unseen_ports
        Unseen ports that a range may add for each one that was seen.
    """

    alpha: float
    mu_inside: float
    mu_outside: float
    lam_names: float
    lam_roles: float
    addresses: int
    unseen_addresses: float
    moving: int
    unseen_ports: float

    @property
    def pairs_per_denial(self) -> float:
        """Pairs inside the cluster that are opened, at most, to avoid one expected denial there."""
        return self.mu_inside / self.alpha


EXCHANGE: Final = MappingProxyType(
    {
        "strict": Exchange(1.0, 8.0, 2.0, 0.25, 0.25, 32, 1.0, 32, 0.5),
        "balanced": Exchange(0.5, 16.0, 8.0, 0.25, 1.0, 256, 3.0, 1024, 1.0),
        "generous": Exchange(0.25, 32.0, 16.0, 1.0, 1.0, 1024, 8.0, 4096, 8.0),
    }
)
#: Saving below which nothing is widened, so that a choice does not hang on a day's noise (method: gamma).
MARGIN: Final = 2.0


def exchange(posture: Posture) -> Exchange:
    """Exchange rates of a posture."""
    return EXCHANGE[posture]
