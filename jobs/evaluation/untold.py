"""
Wanted traffic that is recorded only in a way that is no edge.

Nobody can write a rule for it, but a policy that closes its direction breaks it. An end or a direction cannot
be told where an address is nobody's (translated on the way, or of a pod of which no record is kept), where
replies alone were caught, where records do not say which of two packets answered the other, and where a
service has an address and no pods.
"""

from dataclasses import replace
from typing import Final

import numpy as np

from jobs.evaluation.draws import busy, happens, rare, steady
from jobs.evaluation.estate import Estate
from jobs.evaluation.nouns import CHANCE, NOBODY, Link, Outside, Rhythm

UNRESOLVED: Final = "unresolved"
REPLY_ONLY: Final = "reply_only"
AMBIGUOUS: Final = "ambiguous_direction"
SERVICE: Final = "service_without_known_pods"

#: Of the links that are told badly, the share of which replies alone are seen.
_REPLIES: Final = 0.4
#: Share of the new ones that are used now and then.
_SELDOM: Final = 0.3
#: Ports of both ends where none tells the server; the client's stays the same for weeks.
_SERVER_PORTS: Final = 30_000
CLIENT_PORTS: Final = 10_000  # above the server's
#: Network of services that have an address and no pods.
_SERVICES: Final = "10.97.0"


def add_untold(estate: Estate) -> None:
    """Let a share of the links between workloads be told badly; add some that cannot be told otherwise."""
    rng = estate.rng(16)
    share = estate.parameters.untold
    if not share:
        return
    members = [number for numbers in estate.teams.values() for number in numbers]
    own = set(members)
    for number, link in enumerate(estate.links):
        inside = link.client in own and link.server in own and link.client != link.server
        if inside and link.kind in ("core", "tail") and happens(rng, share):
            reason = REPLY_ONLY if happens(rng, _REPLIES) else UNRESOLVED
            estate.links[number] = replace(link, untold=reason)
    for place in range(round(share * len(members))):
        client, server = (int(one) for one in rng.choice(members, size=2, replace=False))
        rhythm, flows = _use(rng)
        port = _SERVER_PORTS + place
        estate.link(Link(client, server, port, "core", rhythm, flows, protocol="UDP", untold=AMBIGUOUS))
        estate.outsides.append(Outside("", "", False, _SERVICES, (10 + place,), 1))
        rhythm, flows = _use(rng)
        service = len(estate.outsides) - 1
        client = int(rng.choice(members))
        estate.link(Link(client, NOBODY, 8443, "core", rhythm, flows, outside=service, untold=SERVICE))


def _use(rng: np.random.Generator) -> tuple[Rhythm, float]:
    """When and how much."""
    if happens(rng, _SELDOM):
        return Rhythm(CHANCE, float(rng.uniform(0.1, 0.5))), rare(rng)
    return steady(rng), busy(rng)
