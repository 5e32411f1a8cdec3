"""What one night decided about roles and names, so that the next does not decide anew without a reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from models.synthesis.view import POSTURES, Posture


@dataclass(frozen=True, slots=True)
class Learned:
    """
    Last night's generalisations.

    Parameters
    ----------
    roles
        Role inside the namespace by workload.
    families
        Role across namespaces by workload.
    patterns
        Patterns of names by workload, sorted.
    posture
        The posture that chose them; "" where it is not known.
    apart
        Ids of rules for one peer inside the cluster that were no list.
    whole
        Workloads whose policy was that of their whole kind although they did not all do the same.
    """

    roles: Mapping[str, str] = field(default_factory=dict)
    families: Mapping[str, str] = field(default_factory=dict)
    patterns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    posture: str = ""
    apart: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()

    def looser_than(self, posture: Posture) -> bool:
        """Whether what was learned may reach further than this posture would let it."""
        return self.posture in POSTURES and POSTURES.index(self.posture) < POSTURES.index(posture)

    def to_json(self) -> dict[str, Any]:
        """Form to be stored; keys sorted."""
        return {
            "roles": dict(sorted(self.roles.items())),
            "families": dict(sorted(self.families.items())),
            "patterns": {key: list(patterns) for key, patterns in sorted(self.patterns.items())},
            "posture": self.posture,
            "apart": sorted(self.apart),
            "whole": sorted(self.whole),
        }


#: The first night.
NOTHING_LEARNED: Final = Learned()


def learned_from_json(form: Mapping[str, Any]) -> Learned:
    """Inverse of `Learned.to_json`; a part that is missing is taken as never learned."""
    return Learned(
        {str(key): str(role) for key, role in form.get("roles", {}).items()},
        {str(key): str(role) for key, role in form.get("families", {}).items()},
        {str(key): tuple(map(str, patterns)) for key, patterns in form.get("patterns", {}).items()},
        posture if (posture := form.get("posture", "")) in POSTURES else "",
        frozenset(map(str, form.get("apart", ()))),
        frozenset(map(str, form.get("whole", ()))),
    )
