"""A world while it is built: workloads, destinations and links get their numbers here."""

from dataclasses import dataclass, field, replace

import numpy as np

from jobs.evaluation.labels import CONVENTION_WEIGHTS, CONVENTIONS
from jobs.evaluation.nouns import NOBODY, Link, Outside, Question, Rhythm, Workload
from jobs.evaluation.parameters import WorldParameters


@dataclass(slots=True)
class Estate:
    """
    What the parts of the generator add to.

    Parameters
    ----------
    parameters
        Of the world.
    teams
        Numbers of the workloads of each application namespace.
    popular
        Numbers of destinations that many use.
    infrastructure
        Numbers of the workloads of the platform by name.
    strangers
        Names that other parties have where the cluster's own accounts are.
    """

    parameters: WorldParameters
    workloads: list[Workload] = field(default_factory=list)
    outsides: list[Outside] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    teams: dict[str, list[int]] = field(default_factory=dict)
    popular: list[int] = field(default_factory=list)
    infrastructure: dict[str, int] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)
    _contacts: dict[tuple[int, int, int, str, str, int], int] = field(default_factory=dict)
    _networks: int = 0

    def rng(self, part: int) -> np.random.Generator:
        """Draws of one part of the generator; another part's draws do not move them."""
        return np.random.default_rng([self.parameters.seed, part])

    def of_role(self, role: str, *teams: str) -> list[int]:
        """Numbers of the workloads of a role, of some application namespaces or of all."""
        return [n for team in teams or self.teams for n in self.teams[team] if self.workloads[n].role == role]

    def convention(self, rng: np.random.Generator) -> str:
        """Label convention of a namespace."""
        if self.parameters.convention:
            return self.parameters.convention
        return CONVENTIONS[int(rng.choice(len(CONVENTIONS), p=CONVENTION_WEIGHTS))]

    def workload(self, one: Workload) -> int:
        """Add a workload."""
        one.versions.append((one.born, one.labels))
        self.workloads.append(one)
        return len(self.workloads) - 1

    def outside(
        self, name: str, *, group: str = "", shared: bool = False, addresses: int = 1, period: int = 1
    ) -> int:
        """Add a destination outside, in a network of its own."""
        network = self.new_network()
        hosts = tuple(range(10, 10 + addresses))
        self.outsides.append(Outside(name, group, shared, network, hosts, period))
        return len(self.outsides) - 1

    def new_network(self) -> str:
        """First three bytes of public addresses that nothing else uses."""
        self._networks += 1
        return f"{60 + self._networks // 62500}.{self._networks // 250 % 250}.{self._networks % 250}"

    def link(self, link: Link) -> int:
        """
        Add a link; the number of the link there is when the same contact exists already.

        A contact that is legitimate stays so: what an intruder does over it cannot be told apart.
        """
        known = self._contacts.get(link.contact)
        if known is not None:
            return known
        self.links.append(link)
        self._contacts[link.contact] = len(self.links) - 1
        return len(self.links) - 1

    def end(self, number: int, last: int) -> None:
        """Let a link stop before a day."""
        self.links[number] = replace(self.links[number], last=min(self.links[number].last, last))

    def call(  # noqa: PLR0917  # reads like the sentence it is
        self, client: int, server: int, kind: str, rhythm: Rhythm, flows: float, first: int = 0
    ) -> int:
        """Link to the first port of a server."""
        port = self.workloads[server].ports[0]
        return self.link(Link(client, server, port, kind, rhythm, flows, first=first))

    def call_outside(self, client: int, outside: int, kind: str, rhythm: Rhythm, flows: float) -> int:
        """Link to a destination outside on the port of HTTPS."""
        return self.link(Link(client, NOBODY, 443, kind, rhythm, flows, outside=outside))
