"""The infer run: the store folded and, meanwhile, what proposes from it loaded."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import TYPE_CHECKING

from jobs.beside import Both, in_turn
from models.domain.window import Window
from models.synthesis.learned import NOTHING_LEARNED, Learned
from models.synthesis.memory import NO_MEMORY, Memory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from jobs.interfaces import ObservationReader
    from jobs.propose import InferResult
    from models.domain.capabilities import CapabilityHints
    from models.domain.cron_job import CronJob
    from models.synthesis.view import Posture


def run_infer(
    store: ObservationReader,
    *,
    cluster: str,
    as_of: datetime,
    window_length: timedelta,
    namespace: str | None = None,
    posture: Posture = "balanced",
    capabilities: CapabilityHints | None = None,
    rejected_rules: frozenset[str] = frozenset(),
    memory: Memory = NO_MEMORY,
    previous: Learned = NOTHING_LEARNED,
    cron_jobs: Sequence[CronJob] = (),
    both: Both = in_turn,
) -> InferResult:
    """
    Propose policies for one cluster from the window that ends at ``as_of``.

    Raises TooLittleEvidenceError if no flow lies in the window: what was proposed before stays as it is.
    """
    # The libraries of learning take seconds to load, most of a fold is the engine's, and both want a core.
    with ThreadPoolExecutor(1, thread_name_prefix="load") as aside:
        loading = aside.submit(import_module, "jobs.propose")
        observations = store.observations(cluster, Window.ending(as_of, window_length)).with_flows()
        job = loading.result()
    result: InferResult = job.propose(
        observations,
        namespace=namespace,
        posture=posture,
        capabilities=capabilities,
        rejected_rules=rejected_rules,
        memory=memory,
        previous=previous,
        cron_jobs=cron_jobs,
        both=both,
    )
    return result
