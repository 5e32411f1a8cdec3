"""What a set of policies does with the uses of links: both gates of each, by the fast evaluator."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jobs.evaluation.occurrences import address_text
from jobs.evaluation.proposers import CILIUM_VERSION
from jobs.evaluation.world import CLUSTER, World
from models.domain.agent import AgentConfig, release
from models.domain.labels import LabelSet
from models.domain.policy import Direction, Entry, PolicySet
from models.manifest.parse import parse_objects
from models.simulation.compiled import ALLOW, UNKNOWN, CompiledPolicies
from models.simulation.context import DnsQuestion, PolicyFlow, Side
from models.simulation.decision import Verdict
from models.simulation.edges import EdgeTable, protocol_code
from models.simulation.verdict import evaluate

CONFIG: Final = AgentConfig(
    cilium_version=CILIUM_VERSION,
    cluster_name=CLUSTER,
    default_local_cluster=release(CILIUM_VERSION).local_cluster_default,
)
#: Questions of one intruder that are judged one by one.
MAX_QUESTIONS: Final = 12

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """
    Verdicts on uses, one element each.

    Parameters
    ----------
    allowed
        Neither gate denies it.
    egress_denied, ingress_denied
        By which gate.
    undecided
        A gate could not be decided; counted as not allowed.
    guarded
        At least one gate is under default deny.
    """

    allowed: Bools
    egress_denied: Bools
    ingress_denied: Bools
    undecided: Bools
    guarded: Bools


class Judge:
    """
    Policies ready to be asked about the uses of a world.

    Parameters
    ----------
    world
        Whose links are judged.
    manifests
        Read as Cilium would read them.
    """

    def __init__(self, world: World, manifests: Iterable[Mapping[str, Any]]) -> None:
        self.world = world
        self.policies: PolicySet = parse_objects([dict(one) for one in manifests], config=CONFIG)
        self._compiled = CompiledPolicies(self.policies, CONFIG)
        self._by_namespace: dict[str, list[Entry]] = {}
        for entry in self.policies.entries:
            self._by_namespace.setdefault(entry.policy.namespace, []).append(entry)

    def verdicts(self, uses: pd.DataFrame) -> Verdicts:
        """Judge uses (columns of `jobs.evaluation.truth.USE`)."""
        count = len(uses)
        allowed = np.ones(count, dtype=np.bool_)
        undecided = np.zeros(count, dtype=np.bool_)
        guarded = np.zeros(count, dtype=np.bool_)
        denied = {}
        for direction in (Direction.EGRESS, Direction.INGRESS):
            rows, table = self._gate(uses, direction)
            found = self._compiled.evaluate(table)
            mine = np.zeros(count, dtype=np.bool_)
            mine[rows] = found.verdict != ALLOW
            undecided[rows] |= found.verdict == UNKNOWN
            guarded[rows] |= found.default_deny == 1
            allowed &= ~mine
            denied[direction] = mine
        return Verdicts(allowed, denied[Direction.EGRESS], denied[Direction.INGRESS], undecided, guarded)

    def _gate(self, uses: pd.DataFrame, direction: Direction) -> tuple[NDArray[np.int64], EdgeTable]:
        """Uses that have a pod at this gate, as the evaluator's columns."""
        own, other = (
            ("client_set", "server_set") if direction is Direction.EGRESS else ("server_set", "client_set")
        )
        rows = np.flatnonzero(uses[own].to_numpy() >= 0)
        part = uses.iloc[rows]
        sides: dict[Side, int] = {}
        subjects = [
            self._number(sides, Side(labels=self.world.label_sets[n].texts)) for n in part[own].tolist()
        ]
        peers = [
            self._number(sides, self._peer(link, far, address))
            for link, far, address in zip(
                part["link"].tolist(), part[other].tolist(), part["address"].tolist(), strict=True
            )
        ]
        links = [self.world.links[number] for number in part["link"].tolist()]
        table = EdgeTable(
            tuple(sides),
            np.array(subjects, dtype=np.int32),
            np.array(peers, dtype=np.int32),
            np.full(len(rows), direction is Direction.INGRESS, dtype=np.bool_),
            np.array([protocol_code(link.protocol) for link in links], dtype=np.int16),
            np.array([link.port for link in links], dtype=np.int32),
        )
        return rows, table

    @staticmethod
    def _number(sides: dict[Side, int], side: Side) -> int:
        return sides.setdefault(side, len(sides))

    def _peer(self, number: int, label_set: int, address: int) -> Side:
        if label_set >= 0:
            return Side(labels=self.world.label_sets[label_set].texts)
        link = self.world.links[number]
        if address >= 0:
            name = self.world.outsides[link.outside].name
            return Side(ip=address_text(self.world, address), names=(name,) if name else ())
        return Side(entity=link.entity)

    def questions(self, first: int, last: int) -> pd.DataFrame:
        """Whether intruders' DNS questions would be answered: ``family client day admitted guarded``."""
        resolver = next(one for one in self.world.label_sets if one.labels.get("k8s-app") == "kube-dns")
        asked: dict[tuple[int, str], int] = {}
        rows = []
        for question in self.world.questions:
            if not first <= question.day < last:
                continue
            place = (question.client, question.family)
            asked[place] = asked.get(place, 0) + 1
            if asked[place] > MAX_QUESTIONS:
                continue
            label_set = self.world.label_sets[int(self.world.label_set_of[question.client, question.day])]
            entries = self._by_namespace.get(self.world.workloads[question.client].namespace, [])
            labels = LabelSet.of(label_set.texts)
            mine = tuple(entry for entry in entries if entry.subject.matches(labels))
            flow = PolicyFlow(
                Direction.EGRESS,
                Side(labels=label_set.texts),
                Side(labels=resolver.texts),
                "UDP",
                53,
                DnsQuestion(question.name),
            )
            found = evaluate(PolicySet(mine, (), {}), flow, CONFIG)
            admitted, guarded = (
                found.verdict is not Verdict.DENY,
                any(one.default_deny for one in found.gates),
            )
            rows.append((question.family, question.client, question.day, admitted, guarded))
        return pd.DataFrame(rows, columns=["family", "client", "day", "admitted", "guarded"])
