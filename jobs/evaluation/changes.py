"""What does not stay as it is: releases that add and remove links, restarts, incidents."""

from typing import Final

import numpy as np

from jobs.evaluation.draws import busy, happens, steady
from jobs.evaluation.estate import Estate
from jobs.evaluation.labels import released
from jobs.evaluation.nouns import DAYS, Link, Rhythm

#: Releases of a workload on one day at churn x1: one in twenty days.
RELEASES_PER_DAY: Final = 0.05
#: Shares of releases that add a link, and that remove one.
ADDS: Final = 0.2
REMOVES: Final = 0.12
#: Of the links that a release adds, the share that goes outside.
ADDS_OUTSIDE: Final = 0.35
#: Days after which nodes are replaced and every pod has moved.
NODE_UPGRADE_DAYS: Final = 9
#: Incidents of a namespace on one day at incidents x1.
INCIDENTS_PER_DAY: Final = 0.006


def add_releases(estate: Estate) -> None:
    """Release the workloads of the teams now and then."""
    rng = estate.rng(5)
    days = estate.parameters.days
    servers = [n for numbers in estate.teams.values() for n in numbers if estate.workloads[n].ports]
    for numbers in estate.teams.values():
        for number in numbers:
            one = estate.workloads[number]
            if one.kind != "Deployment":
                continue
            chance = RELEASES_PER_DAY * estate.parameters.churn
            dates = [day for day in range(1, days) if happens(rng, chance)]
            for count, day in enumerate(dates, start=1):
                release(estate, number, day, count)
                if happens(rng, ADDS):
                    _add_dependency(estate, number, day, servers, rng)
                if happens(rng, REMOVES):
                    _remove_dependency(estate, number, day, rng)
    for one in estate.workloads:
        restarts = set(range(NODE_UPGRADE_DAYS, days, NODE_UPGRADE_DAYS)) if one.kind != "CronJob" else set()
        one.rollouts = sorted(restarts | set(one.rollouts))


def release(estate: Estate, number: int, day: int, count: int) -> None:
    """Replace the pods of a workload, and its labels where they name the version."""
    one = estate.workloads[number]
    one.rollouts.append(day)
    labels = released(one.labels, count)
    if labels != one.versions[-1][1]:
        one.versions.append((day, labels))


def _add_dependency(
    estate: Estate, client: int, day: int, servers: list[int], rng: np.random.Generator
) -> None:
    if happens(rng, ADDS_OUTSIDE):
        name = estate.outside(f"api.new{client}d{day}.com")
        estate.link(Link(client, -1, 443, "release", steady(rng), busy(rng), outside=name, first=day))
        return
    server = int(rng.choice(servers))
    if server != client:
        estate.call(client, server, "release", steady(rng), busy(rng), day)


def _remove_dependency(estate: Estate, client: int, day: int, rng: np.random.Generator) -> None:
    own = [
        number
        for number, link in enumerate(estate.links)
        if link.client == client and link.kind in ("core", "release") and link.first < day < link.last
    ]
    if own:
        estate.end(int(rng.choice(own)), day)


def add_incidents(estate: Estate) -> None:
    """Days on which a whole namespace turns to its fallbacks."""
    rng = estate.rng(6)
    chance = INCIDENTS_PER_DAY * estate.parameters.incidents
    for team in estate.teams:
        stores, apis = estate.of_role("store", team), estate.of_role("api", team)
        for day in range(1, estate.parameters.days):
            if rng.random() >= chance:
                continue
            fallback = int(rng.choice(stores))
            status = int(rng.choice(estate.popular))
            for client in apis:
                rhythm = Rhythm(DAYS, days=(day,))
                if happens(rng, 0.6):
                    estate.call(client, fallback, "incident", rhythm, float(rng.integers(5, 80)))
                if happens(rng, 0.3):
                    estate.call_outside(client, status, "incident", rhythm, float(rng.integers(1, 10)))
