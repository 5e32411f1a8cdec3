"""What the fold made no edge of, beside a web that calls an API."""

import pandas as pd

from models import frames
from tests.unit.synthesis.world import World

WORKED = {"flows": 300, "answered": 300, "days": 14}


def web_and_api():
    """A web that calls an API, both ways observed."""
    made = World()
    made.edge(made.pod("shop", "web"), made.pod("shop", "api"))
    return made


def row(world, reason, **changes):
    """One thing that the fold set aside."""
    return {
        "cluster": world.cluster,
        "reason": reason,
        "subject": world.identities[0]["label_key"],
        "direction": "egress",
        "peer_kind": "unresolved",
        "peer": "10.9.9.9",
        "protocol": "TCP",
        "port": 6001,
        "icmp_type": -1,
        "first_us": world.at(0),
        "last_us": world.at(13),
        **WORKED,
        **changes,
    }


def with_rows(world, rows):
    """The window with things that the fold set aside."""
    found = world.observations()
    aside = pd.DataFrame(rows, columns=list(frames.ASIDE_EDGES)).astype(frames.ASIDE_EDGES)
    return type(found)(**{**vars(found), "aside_edges": aside})
