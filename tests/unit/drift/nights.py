"""A few weeks of a small cluster, and the report on its last day."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from jobs.propose import propose
from models.domain.window import Window
from models.drift.find import DriftInput, find_drift
from models.drift.timeline import Snapshot
from tests.unit.synthesis.world import START, World

NOW = datetime(2026, 3, 29, tzinfo=UTC)
DAYS = 28
LAST = DAYS - 1
_TIMED = ("edge_days", "coverage")


def cluster(days: int = DAYS) -> tuple[World, dict]:
    """Four workloads that talk to each other every day, in four weeks that were heard."""
    world = World(days=days)
    pods = {
        name: world.pod("shop", name, pod_names=[f"{name}-1", f"{name}-2"]) for name in ("web", "api", "db")
    }
    pods["dns"] = world.kube_dns()
    world.edge(pods["web"], pods["api"])
    world.edge(pods["api"], pods["db"], 5432)
    for name in ("web", "api", "db"):
        world.edge(pods[name], pods["dns"], 53, "UDP")
    return world, pods


def policies_of(world: World) -> list[dict]:
    """What would be proposed from everything seen so far."""
    return list(propose(world.observations()).manifests.values())


def parts(world: World, last: int = LAST):
    """History and last night of a world."""
    everything = world.observations()
    middle = START + timedelta(days=last)
    day = middle.strftime("%Y-%m-%d")

    def cut(window: Window, *, late: bool):
        frames = {
            name: getattr(everything, name)[(getattr(everything, name)["day"] >= day) == late]
            for name in _TIMED
        }
        return replace(everything, window=window, **frames)

    night = cut(Window(middle, middle + timedelta(days=1)), late=True)
    return cut(Window(START, middle), late=False), night


def report(world: World, policies, *, approved=(), snapshots=None, **changes):
    """Report on the last day of a world."""
    history, night = parts(world)
    given = DriftInput(
        night, history, snapshots or (Snapshot(0, tuple(policies)),), tuple(approved), **changes
    )
    return find_drift(given, NOW)


def kinds(made) -> list[str]:
    """Kinds of the findings, in order."""
    return [finding.kind.value for finding in made.findings]


def policy(policies: list[dict], name: str) -> dict:
    """The policy of a workload."""
    return next(one for one in policies if f"portolan-{name}-" in one["metadata"]["name"])
