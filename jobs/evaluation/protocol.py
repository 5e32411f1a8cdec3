"""
The evaluation protocol: learn on the first days of each world, freeze, judge the days after.

`evaluate` is the door for whoever tunes: a callable like `jobs.propose.propose`, some worlds and a
posture in, a frame of figures out.
"""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

import pandas as pd

from jobs.evaluation.counts import Measured
from jobs.evaluation.measures import measure
from jobs.evaluation.parameters import WorldParameters, one_of_each, world_list
from jobs.evaluation.proposers import CILIUM_VERSION, Nights, Portolan, Propose, Proposer, exact_allow_list
from jobs.evaluation.render import observe
from jobs.evaluation.stability import measure_settling, measure_stability
from jobs.evaluation.summary import summarise
from jobs.evaluation.targets import EXACT, PORTOLAN
from jobs.evaluation.world import World, make_world
from jobs.propose import propose as todays_propose
from models.domain.capabilities import CapabilityHints
from models.frames import Observations
from models.synthesis.view import Posture

LEARNING_DAYS: Final = (14, 28)
#: Worlds of the report, by place among those of different parameters, whose quiet nights are compared.
QUIET_WORLDS: Final = (0, 6, 7)
_SHUFFLE_SEED: Final = 1


@dataclass(frozen=True, slots=True)
class Trial:
    """One proposer with one posture on one length of learning."""

    method: str
    posture: Posture
    learned: int


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What is done in one world.

    Parameters
    ----------
    trials
        Each on the same observations.
    nights
        Quiet nights to compare; 0 for none.
    rerun
        Propose once more from shuffled rows, which must change nothing.
    """

    world: WorldParameters
    trials: tuple[Trial, ...]
    nights: int = 0
    rerun: bool = False
    propose: Propose = todays_propose


@dataclass(frozen=True, slots=True)
class Result:
    """What one trial measured in one world."""

    world: str
    trial: Trial
    measured: Measured


def standard_plans(which: str, propose: Propose = todays_propose) -> tuple[Plan, ...]:
    """Plans of ``portolan evaluate`` for a list of worlds."""
    quick = which == "quick"
    lengths = (14,) if quick else LEARNING_DAYS
    trials = [Trial(PORTOLAN, "balanced", days) for days in lengths]
    if not quick:
        trials += [Trial(PORTOLAN, "generous", 14), Trial(PORTOLAN, "strict", 14)]
    trials += [Trial(EXACT, "balanced", days) for days in lengths]
    quiet = (0,) if quick else QUIET_WORLDS
    nights = 1 if quick else 7
    kinds = len(one_of_each(which))
    return tuple(
        Plan(world, tuple(trials), nights if place % kinds in quiet else 0, rerun=place == 0, propose=propose)
        for place, world in enumerate(world_list(which))
    )


def run_plan(plan: Plan) -> list[Result]:
    """Make the world and do all its trials."""
    world = make_world(plan.world)
    hints = hints_of(world)
    portolan = Portolan(plan.propose)
    found: list[Result] = []
    for days in sorted({trial.learned for trial in plan.trials}):
        observations = observe(world, 0, days)
        for trial in plan.trials:
            if trial.learned == days:
                proposer: Proposer = portolan if trial.method == PORTOLAN else exact_allow_list
                proposed = proposer(observations, trial.posture, hints)
                found.append(Result(plan.world.name, trial, measure(world, proposed, 0, days)))
    first = next((trial for trial in plan.trials if trial.method == PORTOLAN), None)
    if first is not None and plan.rerun:
        found.append(Result(plan.world.name, first, _rerun(world, portolan, first, hints)))
    if first is not None and plan.nights:
        quiet = make_world(plan.world.quiet())
        nights = Nights(plan.propose)
        measured = measure_stability(quiet, nights, first.posture, hints_of(quiet), plan.nights)
        found.append(Result(plan.world.name, first, measured))
        settled = measure_settling(quiet, partial(Nights, plan.propose), first.posture, hints_of(quiet))
        found.append(Result(plan.world.name, first, settled))
    return found


def hints_of(world: World) -> CapabilityHints:
    """What the configuration of a world's cluster says."""
    return CapabilityHints(
        fqdn=bool(world.visible.any()), cilium_version=CILIUM_VERSION, distribution="generic"
    )


def _rerun(world: World, portolan: Proposer, trial: Trial, hints: CapabilityHints) -> Measured:
    """Whether the order of rows changes what is proposed."""
    measured = Measured()
    observations = observe(world, 0, trial.learned)
    one = portolan(observations, trial.posture, hints)
    other = portolan(shuffled(observations), trial.posture, hints)
    measured.add("reruns_differ", one.forms != other.forms, 1)
    return measured


def shuffled(observations: Observations) -> Observations:
    """Same observations with the rows of every frame in another order."""
    names = (
        "edge_days",
        "edge_pods",
        "edge_routes",
        "identities",
        "pods",
        "lookups",
        "coverage",
        "set_aside",
        "aside_edges",
    )
    parts = {name: getattr(observations, name).sample(frac=1, random_state=_SHUFFLE_SEED) for name in names}
    return Observations(cluster=observations.cluster, window=observations.window, **parts)


def run_plans(
    plans: Sequence[Plan], workers: int = 1, done: Callable[[int, int], None] | None = None
) -> list[Result]:
    """Run plans, in the order given whatever the number of processes."""
    found: list[Result] = []
    for number, results in enumerate(_each(plans, workers), start=1):
        found += results
        if done is not None:
            done(number, len(plans))
    return found


def _each(plans: Sequence[Plan], workers: int) -> Iterator[list[Result]]:
    if workers <= 1:
        yield from map(run_plan, plans)
        return
    # A fork would copy the threads of the libraries that are loaded, without what they hold locked.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from pool.map(run_plan, plans)


def evaluate(
    propose: Propose = todays_propose,
    worlds: Iterable[WorldParameters] | None = None,
    posture: Posture = "balanced",
    learning_days: Sequence[int] = (14,),
    *,
    workers: int = 1,
    nights: int = 0,
) -> pd.DataFrame:
    """
    Figures of a proposer.

    Parameters
    ----------
    propose
        Called as ``propose(observations, posture=..., capabilities=...)``; at module level where
        ``workers`` is above 1.
    worlds
        The tuning worlds unless told.
    nights
        Quiet nights to compare in each world.

    Returns
    -------
    pandas.DataFrame
        As `jobs.evaluation.summary.summarise` makes it.
    """
    trials = tuple(Trial(PORTOLAN, posture, days) for days in learning_days)
    chosen = world_list("tune") if worlds is None else tuple(worlds)
    plans = [Plan(world, trials, nights, propose=propose) for world in chosen]
    return summarise(run_plans(plans, workers))
