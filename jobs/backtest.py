"""Back-tests on the observation store: a window against any policies, and against those learned before it."""

from datetime import datetime, timedelta

from jobs.interfaces import ObservationReader
from jobs.propose import propose
from models.domain.capabilities import CapabilityHints
from models.domain.policy import PolicySet
from models.domain.window import FIRST_ORIGIN, Window, splits
from models.frames import Observations
from models.learning.recurrence import HORIZON
from models.manifest.parse import parse_objects
from models.simulation.backtest import WindowBacktest, backtest
from models.simulation.observed import DEFAULT_VERSION
from models.simulation.rolling import OriginBacktest, rolling_origin


def backtest_window(
    store: ObservationReader,
    policies: PolicySet,
    *,
    cluster: str,
    as_of: datetime,
    length: timedelta,
    hints: CapabilityHints | None = None,
) -> WindowBacktest:
    """Replay the window that ends at ``as_of`` against a policy set."""
    observations = store.observations(cluster, Window.ending(as_of, length))
    return backtest(observations, policies, hints=hints)


def backtest_learning(
    store: ObservationReader,
    *,
    cluster: str,
    as_of: datetime,
    length: timedelta,
    hints: CapabilityHints | None = None,
    horizon: int = HORIZON,
    first: int = FIRST_ORIGIN,
) -> tuple[OriginBacktest, ...]:
    """
    Propose from the first days of the window and replay the days after them.

    Every part is read from the store by itself, so nothing that was learned knows of a later day. The
    window ends at midnight, for a part of a day would be tested as a whole one; ``horizon`` and
    ``first`` are days.
    """

    def observe(window: Window) -> Observations:
        return store.observations(cluster, window)

    def learn(observations: Observations) -> PolicySet:
        manifests = propose(observations, capabilities=hints).manifests
        version = (hints.cilium_version if hints else None) or DEFAULT_VERSION
        return parse_objects(list(manifests.values()), cilium_version=version)

    midnight = as_of.replace(hour=0, minute=0, second=0, microsecond=0)
    parts = splits(Window.ending(midnight, length), horizon, first)
    return rolling_origin(observe, learn, parts, hints=hints)
