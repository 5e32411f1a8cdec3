"""What an evaluator answers: a verdict, the rules that decided, and what Cilium would attribute it to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from models.domain.policy import Direction, Entry, PolicyRef, RuleRef
from models.simulation.matching import PortMatch, any_of, is_wildcard_peer

IMPLICIT: Final = "implicit"  # kind of the rules that no object wrote
LOCALHOST: Final = "allow-localhost-ingress"


class Verdict(StrEnum):
    """What Cilium would do; ``UNKNOWN`` when the flow lacks what the decision needs."""

    ALLOW = "allow"
    DENY = "deny"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Gate:
    """
    The decision at one end.

    Parameters
    ----------
    direction
        Which of the subject's two gates.
    verdict
        After layer 7.
    reason
        One sentence.
    l4
        Verdict before layer 7.
    rules
        What decided: every matching deny rule, else every matching allow rule, implicit ones last.
        Empty for the default deny and for unknown.
    attributed
        Objects that Cilium would name in a policy verdict event.
    redirect
        The flow goes through a proxy.
    enforcing
        The subject is enforced in this direction; ``None`` when not known.
    default_deny
        What no rule allows is denied; ``None`` when not known.
    """

    direction: Direction
    verdict: Verdict
    reason: str
    l4: Verdict
    rules: tuple[RuleRef, ...] = ()
    attributed: tuple[PolicyRef, ...] = ()
    redirect: bool = False
    enforcing: bool | None = False
    default_deny: bool | None = False
    invalid: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """
    The verdict on a flow and the gates it passed through.

    Parameters
    ----------
    verdict
        Deny if a gate denies, else unknown if one is, else allow.
    reason
        Of the gate that decided.
    gates
        One per direction asked.
    """

    verdict: Verdict
    reason: str
    gates: tuple[Gate, ...]

    @property
    def rules(self) -> tuple[RuleRef, ...]:
        """Deciding rules of the gates that share the verdict."""
        return tuple(rule for gate in self.gates if gate.verdict is self.verdict for rule in gate.rules)

    @property
    def l4(self) -> Verdict:
        """Verdict before layer 7."""
        return worst(gate.l4 for gate in self.gates)

    @property
    def redirect(self) -> bool:
        """Whether a gate sends the flow through a proxy."""
        return any(gate.redirect for gate in self.gates)

    @property
    def enforcing(self) -> bool | None:
        """Whether some gate is enforced; ``None`` when that is not known."""
        return any_of(gate.enforcing for gate in self.gates)

    @property
    def default_deny(self) -> bool | None:
        """Whether some gate denies by default; ``None`` when that is not known."""
        return any_of(gate.default_deny for gate in self.gates)

    @property
    def invalid(self) -> bool:
        """Whether Cilium could not compute the subject's policy at all."""
        return any(gate.invalid for gate in self.gates)


@dataclass(frozen=True, slots=True)
class Match:
    """An entry that covers a flow, and by which port element."""

    entry: Entry
    port: PortMatch

    @property
    def redirects(self) -> bool:
        """Whether the port element has layer 7 rules."""
        return self.port.rule is not None and self.port.rule.l7 is not None

    @property
    def ref(self) -> RuleRef:
        """The place of the port element, or of the entry when it has none."""
        return self.entry.ref(self.port.rule)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Deny if there is one, else unknown if there is one, else allow."""
    seen = set(verdicts)
    for verdict in (Verdict.DENY, Verdict.UNKNOWN):
        if verdict in seen:
            return verdict
    return Verdict.ALLOW


def attribution(
    matches: Sequence[Match], *, local: bool, any_direction: Direction | None = None
) -> tuple[PolicyRef, ...]:
    """
    Objects that the winning entry of the datapath is attributed to.

    The winner has the highest precedence (deny, redirect, allow), then the longest protocol and
    port, then an identity. Every object merged into the same map key is named; an allow is merged
    into a deny only if both come from the same peer selector.
    """
    ranked = [(_rank(match), match) for match in matches]
    implicit = [((0, 0, True), LOCALHOST)] if local else []
    implicit += [((0, 0, False), f"allow-any-{any_direction.value}")] if any_direction else []
    if not ranked and not implicit:
        return ()
    winner = max([rank for rank, _ in ranked] + [rank for rank, _ in implicit])
    deniers = [match for rank, match in ranked if rank == winner and match.entry.denies]
    named = {
        match.entry.policy
        for rank, match in ranked
        if rank[1:] == winner[1:]
        and (match.entry.denies or not deniers or any(_same_peers(match, other) for other in deniers))
    }
    named |= {PolicyRef(IMPLICIT, "", name) for rank, name in implicit if rank[1:] == winner[1:]}
    return tuple(sorted(named))


def _rank(match: Match) -> tuple[int, int, bool]:
    precedence = 2 if match.entry.denies else int(match.redirects)
    return (precedence, match.port.bits, not is_wildcard_peer(match.entry))


def _same_peers(one: Match, other: Match) -> bool:
    return bool(set(one.entry.peers or ()) & set(other.entry.peers or ()))
