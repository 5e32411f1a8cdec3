"""One question about layer 7, asked of the few entries that select its subject."""

from models.domain.agent import AgentConfig
from models.domain.policy import Direction, Entry, PolicySet
from models.simulation.context import L7Request, PolicyFlow, Side, resolve
from models.simulation.decision import Gate
from models.simulation.subject_index import SubjectIndex
from models.simulation.verdict import judge


class BySubject:
    """The reference evaluator over the entries that select a subject, found once per subject."""

    def __init__(self, policies: PolicySet, config: AgentConfig) -> None:
        self._index = SubjectIndex(policies.entries)
        self._config = config
        self._known: dict[tuple[Side, Direction], list[Entry]] = {}

    def judge(self, question: PolicyFlow, request: L7Request) -> Gate:
        """Verdict on one request at the gate that the question asks."""
        if question.direction is None:
            raise ValueError("a question about an edge asks one direction")
        subject = (question.subject(question.direction), question.direction)
        if subject not in self._known:
            self._known[subject] = self._index.selecting(
                resolve(subject[0], self._config), question.direction
            )
        asked = PolicyFlow(
            question.direction,
            question.source,
            question.destination,
            question.protocol,
            question.port,
            request,
        )
        return judge(self._known[subject], asked, question.direction, self._config)
