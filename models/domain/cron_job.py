"""CronJobs of a cluster: who runs when, whether or not it was seen to run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class CronJob:
    """
    A CronJob that the cluster told of.

    Parameters
    ----------
    namespace, name
        Its key.
    schedule
        As Kubernetes reads it; known to be readable.
    enabled
        Not suspended.
    zone
        Time zone that the schedule is read in; known to the time zone database.
    """

    namespace: str
    name: str
    schedule: str
    enabled: bool = True
    zone: str = "UTC"
