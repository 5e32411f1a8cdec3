"""
What the statements of a fold and whoever runs them share: keys, stages, the rows that are registered.

It stands apart from the expressions because those import what compiles them, and only that needs it.
"""

from typing import Final

#: What makes two rows rows of one edge, before orientation and peers are resolved.
LINK: Final = (
    "subject",
    "direction",
    "peer_kind",
    "peer",
    "protocol",
    "port",
    "icmp_type",
    "oriented",
)
#: The same after resolution: the key of EDGE_DAYS without cluster and day.
EDGE: Final = LINK[:-1]

#: One row: the cluster and the stretch of hours that are folded. A table rather than literals, so that
#: the same SQL serves every fold, and no name of a cluster is ever part of it.
SPAN: Final = {
    "of_cluster": "string",
    "first_hour": "int64",
    "end_hour": "int64",
    "first_day": "string",
    "last_day": "string",
}

DAILY, WORDS, UNITED, DAYS = "stage_daily", "stage_words", "stage_united", "stage_days"
#: Stages of a single day, needed until it is settled.
OF_A_DAY: Final = (DAILY, WORDS, UNITED, DAYS)
LINKS, ROUTES, NAMED = "stage_links", "stage_routes", "stage_named"
#: What a day's own rows yield, before anything is resolved.
SEEN: Final = (LINKS, ROUTES, NAMED)
EDGE_DAYS, ASIDE = "stage_edge_days", "stage_aside"
#: What a day yields in the end, with all that other days say about its links and peers.
SETTLED: Final = (EDGE_DAYS, ASIDE)

#: A longer TTL says nothing more: an answer older than a day would have to be from before the window.
MAX_TTL_SECONDS: Final = 24 * 3600
#: Hours that one answer can reach into: its TTL and grace, and the hour in which they end.
STEPS: Final = range(MAX_TTL_SECONDS // 3600 + 2)
