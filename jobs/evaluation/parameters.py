"""
Which worlds are made: seeds, sizes and how restless each is.

Tuning and reporting use different seeds and different parameters. Whoever changes a threshold of the
models may look at the tuning worlds only; the reporting worlds then say what the change is worth.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from models.errors import BadInputError

#: Seeds of the worlds that thresholds may be tuned on.
TUNE_SEEDS: Final = (1101, 1102, 1103, 1104, 1105, 1106, 1107, 1108, 1109, 1110)
#: Seeds of the worlds that figures are reported on, three for each of their parameters; never for tuning.
#: Those of earlier reports (9201 to 9212, 40101 to 40312, 53101 to 53312, 64101 to 64312, 75101 to 75312,
#: 86101 to 86315, 97101 to 97315, 108101 to 108315, 119101 to 119315, 130101 to 130315, 141101 to 141315)
#: were given up once they were read.
REPORT_SEEDS: Final = (*range(152101, 152116), *range(152201, 152216), *range(152301, 152316))
#: Seed of the small world of quick runs.
QUICK_SEED: Final = 501

#: Days of a world: four weeks to learn from and two to judge by.
WORLD_DAYS: Final = 42
QUICK_DAYS: Final = 28


@dataclass(frozen=True, slots=True)
class WorldParameters:
    """
    What a world is like.

    Parameters
    ----------
    name
        Says what is special about it.
    seed
        Of every draw.
    workloads
        How many there are on the first day, infrastructure included.
    days
        How long it is watched.
    start
        First day; decides weekdays and the phase of the month.
    churn, incidents, cron
        Factors on the usual rates of releases, incidents and scheduled jobs.
    tail
        Share of the links of an application that are rare.
    tenants
        Namespaces of the same role; two more arrive after learning.
    convention
        Label convention of all applications; "" draws one per namespace.
    dns_visibility
        Share of the namespaces whose DNS answers are seen.
    owners_named
        Share of the namespaces whose records name the owner of a pod.
    loss
        Share of the days with lost events, and of days with a node missing.
    attacks
        Whether intruders are at work.
    hour
        Hour of the day (UTC) at which every window begins and ends; from 1 on the first and the last day of a
        window are partial, and a world needs one day more.
    runs
        Jobs, pipelines and workflows whose pods are new with each run, with labels of the run.
    untold
        Share of the links between workloads of teams that are recorded only in a way that is no edge.
    clouds
        Clients of several accounts of one service in a cloud, or of names in a private zone.
    host_network
        Services that agents on the network of the nodes call, and as many that call such agents.
    """

    name: str
    seed: int
    workloads: int = 150
    days: int = WORLD_DAYS
    start: date = date(2026, 3, 2)
    churn: float = 1.0
    incidents: float = 1.0
    cron: float = 1.0
    tail: float = 0.3
    tenants: int = 5
    convention: str = ""
    dns_visibility: float = 1.0
    owners_named: float = 0.8
    loss: float = 0.04
    attacks: bool = True
    hour: int = 0
    runs: int = 0
    untold: float = 0.0
    clouds: int = 0
    host_network: int = 0

    def quiet(self) -> "WorldParameters":
        """Same world without releases, incidents and attacks, for the stability of consecutive nights."""
        return replace(self, name=f"{self.name}, quiet", churn=0.0, incidents=0.0, attacks=False)


_TUNE: Final = (
    WorldParameters("tune: middling", 0, 120),
    WorldParameters("tune: large", 0, 220, tenants=8),
    WorldParameters("tune: small", 0, 40, tenants=2),
    WorldParameters("tune: restless", 0, 120, churn=2.0, incidents=2.0),
    WorldParameters("tune: rare links", 0, 100, tail=0.5, cron=2.0),
    WorldParameters("tune: half the names", 0, 110, dns_visibility=0.5, loss=0.12, start=date(2026, 4, 18)),
    WorldParameters("tune: one tenant", 0, 45, tenants=1, start=date(2026, 3, 19)),
    WorldParameters(
        "tune: few labels", 0, 70, convention="missing", owners_named=0.5, start=date(2026, 5, 11)
    ),
    WorldParameters(
        "tune: window from 02:00, clouds",
        0,
        90,
        days=WORLD_DAYS + 1,
        start=date(2026, 6, 10),
        hour=2,
        clouds=8,
    ),
    WorldParameters(
        "tune: runs, untold, host network",
        0,
        90,
        start=date(2026, 8, 3),
        runs=14,
        untold=0.03,
        host_network=6,
    ),
)
_REPORT: Final = (
    WorldParameters("base", 0, 150, start=date(2026, 5, 4)),
    WorldParameters("base, ends with the month", 0, 140, start=date(2026, 6, 17)),
    WorldParameters("no churn", 0, 150, churn=0.0, start=date(2026, 9, 8)),
    WorldParameters("churn x3", 0, 150, churn=3.0, start=date(2026, 7, 1)),
    WorldParameters("incidents x4", 0, 150, incidents=4.0, start=date(2026, 8, 13)),
    WorldParameters("cron x3", 0, 150, cron=3.0, start=date(2026, 10, 20)),
    WorldParameters("tail share 0.6", 0, 130, tail=0.6, start=date(2026, 3, 27)),
    WorldParameters("30 workloads", 0, 30, tenants=1, start=date(2026, 5, 23)),
    WorldParameters("300 workloads", 0, 300, tenants=12, start=date(2026, 11, 2)),
    WorldParameters("Helm only", 0, 120, convention="helm", churn=2.0, start=date(2026, 4, 6)),
    WorldParameters("labels missing", 0, 90, convention="missing", owners_named=0.3, start=date(2026, 2, 9)),
    WorldParameters("no DNS seen, gaps", 0, 120, dns_visibility=0.0, loss=0.2, start=date(2026, 1, 15)),
    WorldParameters("window from 14:00", 0, 150, days=WORLD_DAYS + 1, start=date(2026, 12, 3), hour=14),
    WorldParameters("runs, accounts in clouds", 0, 140, start=date(2026, 6, 8), runs=28, clouds=10),
    WorldParameters(
        "untold traffic, host network", 0, 140, start=date(2026, 9, 14), untold=0.03, host_network=8
    ),
)


def _seeded(worlds: tuple[WorldParameters, ...], seeds: tuple[int, ...]) -> tuple[WorldParameters, ...]:
    return tuple(replace(world, seed=seed) for world, seed in zip(worlds, seeds, strict=True))


def _repeated(worlds: tuple[WorldParameters, ...], times: int) -> tuple[WorldParameters, ...]:
    """The worlds several times over, all first ones first."""
    return tuple(
        replace(world, name=f"{world.name} ({time})" if time > 1 else world.name)
        for time in range(1, times + 1)
        for world in worlds
    )


def world_list(which: str) -> tuple[WorldParameters, ...]:
    """
    Worlds by name of the list: ``tune``, ``report`` or ``quick``.

    Raises
    ------
    BadInputError
        If there is no such list.
    """
    match which:
        case "tune":
            return _seeded(_TUNE, TUNE_SEEDS)
        case "report":
            return _seeded(_repeated(_REPORT, len(REPORT_SEEDS) // len(_REPORT)), REPORT_SEEDS)
        case "quick":
            return (WorldParameters("quick", QUICK_SEED, 40, days=QUICK_DAYS, tenants=2),)
        case _:
            raise BadInputError(f"no list of worlds {which!r}; there are tune, report and quick")


def one_of_each(which: str) -> tuple[WorldParameters, ...]:
    """The worlds of a list without repetitions of the same parameters, for what takes long."""
    worlds = world_list(which)
    return worlds[: len(_REPORT)] if which == "report" else worlds
