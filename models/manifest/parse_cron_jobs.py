"""CronJobs among Kubernetes objects."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from models.domain.cron_job import CronJob
from models.errors import BadInputError
from models.learning.schedules import parse_schedule

_SHOWN: Final = 100  # characters of a name in a complaint


def parse_cron_jobs(objects: Iterable[Mapping[str, Any]]) -> tuple[tuple[CronJob, ...], tuple[str, ...]]:
    """
    Read CronJobs; other kinds are passed over.

    Parameters
    ----------
    objects
        As `kubectl get -o yaml` gives them, Lists included.

    Returns
    -------
    tuple
        The jobs, sorted, each once; and why the others could not be read, sorted: one job with a schedule
        that cannot be read is no reason to know nothing of the rest.
    """
    found: set[CronJob] = set()
    refused: set[str] = set()
    for item in _flat(objects):
        if item.get("kind") != "CronJob":
            continue
        try:
            found.add(_cron_job(item))
        except BadInputError as error:
            refused.add(str(error))
    return tuple(sorted(found)), tuple(sorted(refused))


def _flat(objects: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for item in objects:
        members = item.get("items")
        if str(item.get("kind")).endswith("List") and isinstance(members, list):
            yield from (one for one in members if isinstance(one, Mapping))
        else:
            yield item


def _cron_job(item: Mapping[str, Any]) -> CronJob:
    metadata, spec = _part(item, "metadata"), _part(item, "spec")
    name, namespace = metadata.get("name"), metadata.get("namespace", "default")
    if not isinstance(name, str) or not name or not isinstance(namespace, str):
        raise BadInputError("a CronJob without a name")
    place = f"CronJob {namespace}/{name}"[:_SHOWN]
    schedule, suspended = spec.get("schedule"), spec.get("suspend", False)
    if not isinstance(schedule, str):
        raise BadInputError(f"{place} has no schedule")
    try:
        parse_schedule(schedule)
    except BadInputError as error:
        raise BadInputError(f"{place}: {error}") from None
    return CronJob(namespace, name, schedule, enabled=suspended is not True)


def _part(item: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = item.get(key)
    return value if isinstance(value, Mapping) else {}
