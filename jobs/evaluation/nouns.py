"""What a world consists of: workloads, destinations outside, and the links between them, each with truth."""

from dataclasses import dataclass, field, replace
from typing import Final

#: Attack families, as the method names them.
FAMILIES: Final = (
    "horizontal_scan",
    "slow_scan",
    "lateral_movement",
    "dns_tunnel",
    "generated_domains",
    "beacon",
    "saas_beacon",
    "miner",
    "exec_debug",
    "trojaned_image",
)

NOBODY: Final = -1  # no workload, or no destination outside
FOREVER: Final = 10_000  # days; longer than any world
#: Distinct hours in which a link is used on a day that keeps to no hour.
WAKING_HOURS: Final = 18

ALWAYS: Final = "always"
WORKDAYS: Final = "workdays"
CHANCE: Final = "chance"
WEEKLY: Final = "weekly"
MONTHLY: Final = "monthly"
DAYS: Final = "days"


@dataclass(frozen=True, slots=True)
class Rhythm:
    """
    On which days a link is used.

    Parameters
    ----------
    kind
        ALWAYS, WORKDAYS, CHANCE (each day with probability ``p``), WEEKLY, MONTHLY or DAYS.
    p
        Probability of CHANCE.
    at
        Weekday (Monday is 0) of WEEKLY, day of the month of MONTHLY.
    days
        Days of DAYS, counted from the first day of the world.
    scheduled
        A job at a fixed time: what was not seen of it yet is periodic, not rare.
    """

    kind: str = ALWAYS
    p: float = 1.0
    at: int = 0
    days: tuple[int, ...] = ()
    scheduled: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """
    What makes the pods of a workload new each time.

    Parameters
    ----------
    tool
        That starts them, of `jobs.evaluation.runs`.
    stem
        What runs, in words that all runs share.
    part
        Which of several pods of a run it is; "" where there is one.
    days
        On which there is a run, rising.
    hour, hours
        First hour and number of hours of a run.
    """

    tool: str
    stem: str
    part: str
    days: tuple[int, ...]
    hour: int
    hours: int


@dataclass(slots=True)
class Workload:
    """
    A workload with its releases.

    Parameters
    ----------
    versions
        (first day, labels), oldest first; the labels differ where a release changes them.
    rollouts
        Days on which all pods are replaced.
    born, dies
        First day, and the day after the last.
    role
        What it is for; workloads of one role and label convention behave alike.
    ports
        What it listens on.
    run
        What is new with each of its runs; ``None`` for what stays. Its versions are those of single days.
    """

    namespace: str
    name: str
    kind: str
    role: str
    labels: dict[str, str]
    replicas: int
    ports: tuple[int, ...] = ()
    account: str = "default"
    born: int = 0
    dies: int = FOREVER
    versions: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    rollouts: list[int] = field(default_factory=list)
    run: Run | None = None

    @property
    def member(self) -> str:
        """``Kind/name``, as proposals name it."""
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class Outside:
    """
    A destination outside the cluster.

    Parameters
    ----------
    name
        DNS name; "" where clients use the address alone.
    group
        Registrable domain, or pool of addresses, that keeps growing; "" for none.
    shared
        Under a suffix where anybody may have names.
    network
        First three bytes of its addresses.
    hosts
        Last bytes that it uses; several are used in turn.
    period
        Days after which the next address is used.
    """

    name: str
    group: str
    shared: bool
    network: str
    hosts: tuple[int, ...]
    period: int = 1


@dataclass(frozen=True, slots=True)
class Link:
    """
    One dependency: who calls whom on which port, when, how much, and what it really is.

    Parameters
    ----------
    client, server
        Numbers of workloads; NOBODY where the end is no pod.
    kind
        Why it exists: core, tail, job, release, tenant, shard, incident, dynamic, visitor, probe, dns, or
        an attack family.
    flows
        Mean records on a day of use.
    outside
        Number of the destination (or, for a client NOBODY, of the origin) outside; NOBODY for none.
    entity
        Reserved entity of the end that is no pod; "" for none.
    first, last
        First day, and the day after the last, on which it can be used.
    one_pod
        One replica of the client shows it.
    answered
        Whether connections are answered.
    hour, hours
        First hour of the day, and distinct hours; with WAKING_HOURS it keeps to none.
    untold
        Why its records make no edge, as `models.frames.ASIDE_EDGES` names it; "" where they do.
    """

    client: int
    server: int
    port: int
    kind: str
    rhythm: Rhythm = Rhythm()
    flows: float = 100.0
    outside: int = NOBODY
    entity: str = ""
    protocol: str = "TCP"
    first: int = 0
    last: int = FOREVER
    one_pod: bool = False
    answered: bool = True
    hour: int = 0
    hours: int = WAKING_HOURS
    untold: str = ""

    @property
    def attack(self) -> bool:
        """Whether an intruder made it."""
        return self.kind in FAMILIES

    def at(self, rhythm: Rhythm, hour: int, hours: int) -> "Link":
        """Same link at other times."""
        return replace(self, rhythm=rhythm, hour=hour, hours=hours)

    @property
    def contact(self) -> tuple[int, int, int, str, str, int]:
        """What makes two links the same contact."""
        return (self.client, self.server, self.outside, self.entity, self.protocol, self.port)


@dataclass(frozen=True, slots=True)
class Question:
    """A DNS name that an intruder asks for on a day; ``missed``: there is no such name."""

    client: int
    name: str
    day: int
    family: str
    missed: bool
