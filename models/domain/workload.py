"""The stable thing behind endpoints and pods: what a policy is written for."""

from dataclasses import dataclass

from models.domain.peer import LabelSelector


@dataclass(frozen=True, slots=True)
class Workload:
    """
    A workload, with the selector that picks exactly its pods.

    Parameters
    ----------
    cluster
        Cilium's cluster name on its labels; "" when they carry none.
    namespace
        Kubernetes namespace.
    members
        Sorted ``Kind/name``; several when their labels cannot be told apart or they are one rollout.
    label_keys
        Every label set it had in the window.
    current_keys
        The ones that were not replaced by a later set.
    selector
        Smallest stable selector inside the namespace; ``None`` when no label can be used.
    service_account
        The selector rests on the service account.
    first_us, last_us
        When it was seen, microseconds since the epoch.
    gone
        It fell silent long before the window ended.
    notes
        Sentences for the reviewer.
    flags
        Sorted codes.
    role
        ``Kind/name`` of the role that all members play and that outlives a change of members; "" where
        the members are one workload or cannot be told apart.
    """

    cluster: str
    namespace: str
    members: tuple[str, ...]
    label_keys: tuple[str, ...]
    current_keys: tuple[str, ...]
    selector: LabelSelector | None
    service_account: bool
    first_us: int
    last_us: int
    gone: bool = False
    notes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    role: str = ""

    @property
    def identity(self) -> tuple[str, ...]:
        """What names it from night to night: its role, or its members."""
        return (self.role,) if self.role else self.members

    @property
    def name(self) -> str:
        """Name of the role or of the first member, for object names."""
        return self.identity[0].partition("/")[2]

    @property
    def title(self) -> str:
        """Names of the members, for sentences."""
        return " + ".join(member.partition("/")[2] for member in self.identity)

    @property
    def ownerless(self) -> bool:
        """Whether it is bare pods, which nothing starts again."""
        return all(member.startswith("Pod/") for member in self.members)
