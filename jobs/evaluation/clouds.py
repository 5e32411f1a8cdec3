"""
Names of clouds: accounts with a region in them, private zones, and names of strangers under the same suffix.

A client uses several accounts of one service, and more of them as time goes by. Whoever draws a pattern over
them lets it reach what strangers have there; over a zone of one's own a pattern is right.
"""

from typing import Final

import numpy as np

from jobs.evaluation.draws import busy, happens, rare, steady
from jobs.evaluation.estate import Estate
from jobs.evaluation.nouns import CHANCE, NOBODY, Link, Rhythm
from jobs.evaluation.words import digest

#: Name and port; ``{a}`` is the account, ``{r}`` the region, ``{h}`` tells an owner's names from all others.
_SHARED: Final = (
    ("{a}.s3.{r}.amazonaws.com", 443),
    ("{a}.{h}.{r}.rds.amazonaws.com", 5432),
    ("{a}.execute-api.{r}.amazonaws.com", 443),
    ("{a}.privatelink.blob.core.windows.net", 443),
    ("{a}.privatelink.postgres.database.azure.com", 5432),
    ("{a}.{r}.kusto.windows.net", 443),
    ("{a}.{h}.{r}.azurecontainerapps.io", 443),
    ("{a}.{r}.snowflakecomputing.com", 443),
    ("{r}-{a}.cloudfunctions.net", 443),
    ("{a}-{h}.a.run.app", 443),
    ("{a}.{r}.aws.confluent.cloud", 9092),
)
#: Zones that one party holds.
_OWN: Final = (("{a}.{r}.corp.internal", 443), ("{a}-db.{r}.intra.example.net", 5432))
_REGIONS: Final = ("eu-west-1", "eu-central-1", "westeurope", "us-east-1")
#: Accounts of one client, drawn evenly, and of strangers under the same suffix.
_ACCOUNTS: Final = (3, 9)
_STRANGERS: Final = 5
#: Share of the accounts that come after the first day.
_LATER: Final = 0.4
#: Share of the clients that use a zone of their own.
_OWN_SHARE: Final = 0.25


def add_clouds(estate: Estate) -> None:
    """Let some services of the applications use accounts in clouds."""
    rng = estate.rng(17)
    clients = estate.of_role("api")
    for place in range(estate.parameters.clouds):
        client = int(rng.choice(clients))
        region = _REGIONS[int(rng.integers(len(_REGIONS)))]
        own = happens(rng, _OWN_SHARE)
        pool = _OWN if own else _SHARED
        form, port = pool[int(rng.integers(len(pool)))]
        owner = digest(estate.workloads[client].namespace, 10)
        for number in range(int(rng.integers(*_ACCOUNTS))):
            name = form.format(a=f"acme{place}n{number}", r=region, h=owner)
            group = name.partition(".")[2] if own else ""
            outside = estate.outside(name, group=group, shared=not own, addresses=3, period=2)
            first = int(rng.integers(estate.parameters.days)) if happens(rng, _LATER) else 0
            estate.link(_used(client, port, outside, first, rng))
        if not own:
            names = (form.format(a=f"rival{place}n{n}", r=region, h="rivals") for n in range(_STRANGERS))
            estate.strangers.extend(names)


def _used(client: int, port: int, outside: int, first: int, rng: np.random.Generator) -> Link:
    seldom = happens(rng, 0.3)
    rhythm = Rhythm(CHANCE, float(rng.uniform(0.05, 0.5))) if seldom else steady(rng)
    flows = rare(rng) if seldom else busy(rng)
    return Link(client, NOBODY, port, "core", rhythm, flows, outside=outside, first=first)
