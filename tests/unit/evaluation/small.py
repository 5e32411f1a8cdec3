"""Small worlds for the tests, made once."""

from functools import lru_cache

from jobs.evaluation.parameters import QUICK_DAYS, WorldParameters
from jobs.evaluation.world import World, make_world

SMALL = WorldParameters(
    "small", 41, 40, days=QUICK_DAYS, tenants=2, churn=2.0, incidents=4.0, cron=2.0, loss=0.1
)


@lru_cache(maxsize=2)
def small_world(parameters: WorldParameters = SMALL) -> World:
    """World of a few dozen workloads over four weeks."""
    return make_world(parameters)
