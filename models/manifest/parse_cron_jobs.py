"""CronJobs among Kubernetes objects."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from models.domain.cron_job import CronJob
from models.errors import BadInputError
from models.learning.schedules import DEFAULT_ZONE, known_zone, parse_schedule

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
        The jobs, sorted, each once; and what could not be read of them or of others, sorted: one job with a
        schedule that cannot be read is no reason to know nothing of the rest, and a time zone that nobody
        knows is none to forget the schedule, which is then read in UTC.
    """
    found: set[CronJob] = set()
    refused: set[str] = set()
    for item in _flat(objects):
        if item.get("kind") != "CronJob":
            continue
        try:
            job = _cron_job(item)
        except BadInputError as error:
            refused.add(str(error))
            continue
        found.add(job)
        zone = _part(item, "spec").get("timeZone")
        if zone is not None and not known_zone(zone):
            place = f"CronJob {job.namespace}/{job.name}"[:_SHOWN]
            refused.add(f"{place}: nobody knows the time zone {str(zone)[:_SHOWN]!r}, so it is read in UTC")
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
    zone = spec.get("timeZone")
    return CronJob(
        namespace,
        name,
        schedule,
        enabled=suspended is not True,
        zone=zone if isinstance(zone, str) and known_zone(zone) else DEFAULT_ZONE,
    )


def _part(item: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = item.get(key)
    return value if isinstance(value, Mapping) else {}
