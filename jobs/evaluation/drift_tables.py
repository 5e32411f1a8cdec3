"""The figures of ``portolan evaluate --drift``: a table of what was found, and one of what was said."""

import multiprocessing
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Final

from jobs.evaluation.drift_score import DriftScore, score_world
from jobs.evaluation.drift_world import (
    BURST,
    DELETION,
    EDIT,
    EXPORTER,
    LATERAL,
    NEW_DEPENDENCY,
    RETIRED,
    SELECTOR,
)
from jobs.evaluation.parameters import WorldParameters
from jobs.evaluation.tables import TextTable
from models.drift.finding import KINDS
from models.errors import PortolanError

BEGIN: Final = "<!-- begin: portolan evaluate --drift --write -->"
END: Final = "<!-- end: portolan evaluate --drift --write -->"
_PER_WORKLOADS: Final = 300
#: Least share of the planted changes of a kind that is to be found on the first night.
GOALS: Final = {
    NEW_DEPENDENCY: 0.9,
    LATERAL: 0.9,
    EDIT: 1.0,
    DELETION: 1.0,
    SELECTOR: 1.0,
    EXPORTER: 1.0,
}
PRECISION_GOAL: Final = 0.9
WRONG_UNUSED_GOAL: Final = 0.01
FALSE_ALARMS_GOAL: Final = 1.0


class WorldFailedError(PortolanError):
    """A world could not be measured; nothing is written then."""


@dataclass(frozen=True, slots=True)
class Named:
    """The score of one world."""

    world: str
    score: DriftScore


def run_world(parameters: WorldParameters) -> Named:
    """Score one world; at module level, so that another process can."""
    return Named(parameters.name, score_world(parameters))


def run_worlds(
    worlds: Sequence[WorldParameters], workers: int, done: Callable[[int, int], None] | None = None
) -> list[Named]:
    """Score worlds, in the order given whatever the number of processes."""
    found: list[Named] = []
    for number, one in enumerate(_each(worlds, workers), start=1):
        found.append(one)
        if done is not None:
            done(number, len(worlds))
    return found


def _each(worlds: Sequence[WorldParameters], workers: int) -> Iterator[Named]:
    if workers <= 1:
        yield from map(_run, worlds)
        return
    # As `jobs.evaluation.protocol` does it: a fork would copy threads of libraries.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        try:
            yield from pool.map(_run, worlds)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        except BrokenProcessPool:
            raise WorldFailedError(
                "a worker was ended from outside, most likely for want of memory: "
                "each holds one world; try --workers 1"
            ) from None


def _run(parameters: WorldParameters) -> Named:
    """Score a world; whatever goes wrong in it is said with its name, in whichever process."""
    try:
        return run_world(parameters)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise WorldFailedError(
            f"the world {parameters.name!r} failed: {type(error).__name__}: {error} "
            f"({where.filename.rpartition('/')[2]}:{where.lineno})"
        ) from error


def tables(scores: Sequence[Named]) -> list[TextTable]:
    """Goals first, then kinds, then worlds."""
    return [_goals(scores), _kinds(scores), _worlds(scores)]


def _total(scores: Sequence[Named], name: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in scores:
        total.update(getattr(one.score, name))
    return total


def _share(part: int, whole: int) -> str:
    return "" if not whole else f"{part / whole:.3f}"


def _goals(scores: Sequence[Named]) -> TextTable:
    planted, found = _total(scores, "planted"), _total(scores, "found")
    news: Counter[tuple[str, bool]] = Counter()
    for one in scores:
        news.update(one.score.news)
    true = sum(count for (_, right), count in news.items() if right)
    wrong = sum(news.values()) - true
    unused_wrong, unused = news[("unused", False)], news[("unused", False)] + news[("unused", True)]
    workload_nights = sum(one.score.workloads * one.score.nights for one in scores)
    rows = [
        (
            "precision of everything told",
            f">= {PRECISION_GOAL}",
            _share(true, true + wrong),
            f"{true + wrong}",
        ),
        (
            f"false alarms a night per {_PER_WORKLOADS} workloads",
            f"<= {FALSE_ALARMS_GOAL:g}",
            f"{wrong * _PER_WORKLOADS / max(workload_nights, 1):.3f}",
            f"{wrong}",
        ),
        (
            "called unused and used again",
            f"<= {WRONG_UNUSED_GOAL}",
            _share(unused_wrong, unused),
            f"{unused}",
        ),
    ]
    for kind in (NEW_DEPENDENCY, LATERAL, BURST, EDIT, DELETION, SELECTOR, EXPORTER, RETIRED):
        goal = f">= {GOALS[kind]}" if kind in GOALS else ""
        when = "in the end" if kind == RETIRED else "on its first night"
        rows.append((f"{kind} found {when}", goal, _share(found[kind], planted[kind]), f"{planted[kind]}"))
    called = sum(one.score.called for one in scores)
    rows.append(("of lateral movement, called suspicious", "", _share(called, planted[LATERAL]), ""))
    rows.append(("findings about the scanner", "", f"{sum(one.score.scanner for one in scores)}", ""))
    return TextTable("Drift: goals", ("figure", "goal", "measured", "of"), tuple(rows))


def _kinds(scores: Sequence[Named]) -> TextTable:
    news: Counter[tuple[str, bool]] = Counter()
    for one in scores:
        news.update(one.score.news)
    rows = []
    for kind in KINDS:
        right, wrong = news[(kind.value, True)], news[(kind.value, False)]
        rows.append((kind.value, str(right), str(wrong), _share(right, right + wrong)))
    return TextTable(
        "Drift: what was told for the first time", ("kind", "true", "wrong", "precision"), tuple(rows)
    )


def _worlds(scores: Sequence[Named]) -> TextTable:
    rows = []
    for one in scores:
        wrong = sum(count for (_, right), count in one.score.news.items() if not right)
        standing = one.score.standing
        rows.append(
            (
                one.world,
                str(one.score.workloads),
                str(sum(one.score.news.values())),
                str(wrong),
                f"{one.score.found[NEW_DEPENDENCY]}/{one.score.planted[NEW_DEPENDENCY]}",
                f"{one.score.found[LATERAL]}/{one.score.planted[LATERAL]}",
                f"{sum(standing) / max(len(standing), 1):.0f}",
            )
        )
    headers = ("world", "workloads", "told", "wrong", "new dependencies", "lateral", "standing a night")
    return TextTable("Drift: by world", headers, tuple(rows))


def section(found: Sequence[TextTable]) -> str:
    """The tables as Markdown between their markers."""
    return "\n\n".join([BEGIN, *(f"**{table.title}**\n\n{table.markdown()}" for table in found), END])


def updated(page: str, text: str) -> str:
    """The page with the section in its place, at its end when it had none."""
    if BEGIN in page and END in page:
        before, _, rest = page.partition(BEGIN)
        return f"{before}{text}{rest.partition(END)[2]}"
    return f"{page.rstrip()}\n\n## Drift\n\n{text}\n"
