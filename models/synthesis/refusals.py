"""
What reviewers rejected, as the widening of rules has to heed it.

A rejected rule stays out of every later version. So nothing that is widened may stand for it under another
name, and where the wider rule is what was rejected, the exact ones are proposed again: no was said to what
nobody had seen.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import cast

from models.domain.peer import EndpointPeer, FqdnPeer
from models.domain.rule import Direction, rule_id
from models.synthesis.candidates import Candidate, Excluded
from models.synthesis.line import list_id
from models.synthesis.name_lines import NAMES
from models.synthesis.naming import proposal_key


@dataclass(frozen=True, slots=True)
class Refusals:
    """
    Rejected rules of a cluster.

    Parameters
    ----------
    cluster
        Whose proposals they belong to.
    ids
        Of the rules.
    """

    cluster: str
    ids: Collection[str] = field(default_factory=frozenset)

    def of(self, candidate: Candidate) -> bool:
        """Whether some rule that a candidate makes was rejected, or the list that it joins."""
        if not self.ids:
            return False
        key, target = proposal_key(self.cluster, candidate.workload), candidate.target
        way = cast("Direction", candidate.direction)
        places = {rule_id(key, way, peer, target.ports) for peer in target.peers}
        for peer in target.peers:
            if isinstance(peer, EndpointPeer):
                places.add(list_id(key, way, peer.cluster, target.ports))
            elif isinstance(peer, FqdnPeer) and peer.name:
                places.add(list_id(key, way, NAMES, target.ports))
        return not places.isdisjoint(self.ids)

    def apart(self, candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Excluded]]:
        """Candidates that may be widened, and the edges of the others, which nothing may be widened over."""
        mine, edges = [], []
        for one in candidates:
            if self.of(one):
                edges += [Excluded(edge, one.workload, "reviewed_unwanted") for edge in one.edges]
            else:
                mine.append(one)
        return mine, edges

    def exact(self, candidates: Sequence[Candidate], wider: Sequence[Candidate]) -> list[Candidate]:
        """Wider forms of candidates, in their order; exact ones where the wider rule was rejected."""
        return [one if self.of(wide) else wide for one, wide in zip(candidates, wider, strict=True)]
