"""CronJobs of a cluster, from files or from the cluster itself: what is due although no window showed it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from jobs.cluster_objects import Resource, connect, listed
from jobs.policy_files import read_objects
from models.domain.cron_job import CronJob
from models.errors import UnsupportedError
from models.manifest.parse_cron_jobs import parse_cron_jobs

RESOURCE: Final[Resource] = ("batch", "v1", "CronJob", "cronjobs", True)


def read_cron_jobs(
    paths: Sequence[Path], *, from_cluster: bool
) -> tuple[tuple[CronJob, ...], tuple[str, ...]]:
    """
    CronJobs, and why others could not be read.

    Parameters
    ----------
    paths
        Files and folders of Kubernetes objects; other kinds in them are passed over.
    from_cluster
        Ask the cluster that kubectl would speak to as well.

    Raises
    ------
    BadInputError
        If a file cannot be read.
    UnsupportedError
        If the cluster cannot be reached, or does not show its CronJobs.
    """
    objects: list[dict[str, Any]] = list(read_objects(paths))
    if from_cluster:
        objects += _from_cluster()
    return parse_cron_jobs(objects)


def _from_cluster() -> list[dict[str, Any]]:
    from httpx2 import HTTPError  # noqa: PLC0415 - nobody who reads files needs a Kubernetes client
    from lightkube.core.exceptions import ApiError  # noqa: PLC0415

    try:
        return list(listed(connect(), RESOURCE))
    except ApiError as error:
        why = error.status.message or f"status {error.status.code}"
        raise UnsupportedError(f"the cluster does not show its cronjobs: {why}") from None
    except HTTPError as error:
        raise UnsupportedError(f"the cluster cannot be reached: {error}") from None
