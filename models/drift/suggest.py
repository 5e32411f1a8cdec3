"""Ready changes: the narrowest rule that would let a connection pass, tried before it is offered."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from models.domain.policy import Direction, Entry, PolicyRef, PolicySet
from models.drift.finding import Suggestion
from models.drift.night import Scene
from models.simulation.changes import smallest_change
from models.simulation.context import PolicyFlow, resolve
from models.simulation.decision import Verdict
from models.simulation.observed import ObservedFlows
from models.simulation.verdict import evaluate, selects_subject
from models.synthesis.edges import Edge

#: Changes tried in one report; each parses and evaluates a few policies, and nobody reads more.
MAX_TRIED: Final = 200


class Changes:
    """
    Finds changes to the policies of a scene, as many as are worth trying.

    Parameters
    ----------
    scene
        Whose policies are changed.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._flows = ObservedFlows(scene.view)
        self._policies = scene.timeline.current
        self._tried = 0
        self._of_subject: dict[tuple[str, str], tuple[PolicyRef, ...]] = {}
        self._entries: dict[tuple[str, Direction], list[Entry]] = defaultdict(list)
        self._of_policy: dict[PolicyRef, list[Entry]] = defaultdict(list)
        for entry in self._policies.entries:
            self._entries[(entry.policy.namespace, entry.direction)].append(entry)
            self._of_policy[entry.policy].append(entry)

    def selecting(self, edge: Edge) -> tuple[PolicyRef, ...]:
        """Objects that close the subject's end of an edge, sorted; those that select it where none does."""
        key = (edge.subject, edge.direction)
        if key not in self._of_subject:
            flow = self._flows.question(edge)
            self._of_subject[key] = self._selecting(flow)
        return self._of_subject[key]

    def advise(self, edge: Edge | None, caller: str) -> Suggestion:
        """What to do about traffic that no rule allows; without an edge, as nothing is to be let in yet."""
        if edge is None:
            return Suggestion("investigate", f"Look into the pods of {caller} before anything is allowed.")
        return self.allow(edge)

    def allow(self, edge: Edge) -> Suggestion:
        """The smallest change that would let an edge pass at its subject's end."""
        flow = self._flows.question(edge)
        selecting = self.selecting(edge)
        self._tried += 1
        if self._tried > MAX_TRIED:
            return Suggestion("add_rule", "Let 'portolan explain' find the rule: this report tried enough.")
        local = self._only(selecting)
        decision = evaluate(local, flow, self._scene.config)
        gates = [gate for gate in decision.gates if gate.verdict is Verdict.DENY]
        change = smallest_change(local, flow, gates[0], selecting, self._scene.config) if gates else None
        if change is None:
            text = "No single rule admits it; take it into the next proposal with 'portolan infer'."
            return Suggestion("propose", text)
        text = f"If it is wanted, change {change.policy}: this {change.because}."
        return Suggestion("add_rule", text, str(change.policy), change.patch)

    def _selecting(self, flow: PolicyFlow) -> tuple[PolicyRef, ...]:
        if flow.direction is None:
            return ()
        subject = resolve(flow.subject(flow.direction), self._scene.config)
        namespace = "" if subject.labels is None else subject.labels.namespace or ""
        # A policy of a namespace selects there alone; clusterwide ones select everywhere.
        near = [self._entries[(place, flow.direction)] for place in sorted({"", namespace})]
        found = [entry for entries in near for entry in entries if selects_subject(entry, subject)]
        closing = [entry for entry in found if entry.default_deny]
        return tuple(sorted({entry.policy for entry in closing or found}))

    def _only(self, chosen: Iterable[PolicyRef]) -> PolicySet:
        """The objects that matter at one gate: what others say does not change its answer."""
        wanted = sorted(set(chosen))
        entries = tuple(entry for policy in wanted for entry in self._of_policy[policy])
        sources = self._policies.sources
        return PolicySet(entries, (), {policy: sources[policy] for policy in wanted if policy in sources})
