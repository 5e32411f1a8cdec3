"""What the report of the night has to hold: every planted thing, what follows from it, and nothing else."""

import json
from dataclasses import asdict, dataclass
from typing import TextIO


@dataclass(frozen=True)
class Expected:
    """A finding that has to be reported: ``planted`` is what was done, ``why`` why it is right to say so."""

    planted: str
    kind: str
    subject: str
    why: str
    peer: str = ""
    direction: str = ""
    policy: str = ""

    @property
    def since(self) -> str:
        """Day from which it is there to be told: what was done to the policies, one night earlier."""
        return "2026-11-16" if self.planted in FROM_THE_ROLLOUT else "2026-11-17"


REMOVED = "a rule removed by hand: orders may not call the mainframe's bridge any more"
WIDENED = "a rule added by hand: checkout may call all of the internet on 443"
DELETED = "a policy deleted: that of cart"
HAND_MADE = "a selector that matches nothing: 'catalogue' where the label says 'catalog'"
RETIRED = "a dependency that ended with release 2.8.0 on 9 November: orders left redis for nats"
NEW = "a new dependency that nobody proposed a rule for yet"
LATERAL = "an intruder in one replica of cart, whose policy is gone"
UNPROTECTED = "a new workload without a policy"
FROM_THE_ROLLOUT = (REMOVED, WIDENED, DELETED, HAND_MADE, RETIRED)
SILENT = "an exporter that was down from 12:00 to 18:00 on one of three nodes"

CART = "shop/Deployment/cart"
ORDERS = "shop/Deployment/orders"
EXPECTED: tuple[Expected, ...] = (
    Expected(REMOVED, "changed", ORDERS, "the deployed policy lacks what was approved", policy="orders"),
    Expected(
        REMOVED,
        "denied",
        ORDERS,
        "the call worked on every day of the window and is dropped now",
        "legacy/Deployment/mainframe-bridge",
        "egress",
    ),
    Expected(
        WIDENED,
        "changed",
        "payments/Deployment/checkout",
        "nobody approved what was added",
        policy="checkout",
    ),
    Expected(DELETED, "changed", CART, "approved and not there", policy="cart"),
    Expected(
        DELETED,
        "unprotected",
        CART,
        "what is left selects it for its lookups and closes nothing",
    ),
    Expected(HAND_MADE, "unused", "shop", "it selects nobody", policy="catalog-pictures"),
    Expected(
        RETIRED,
        "unused",
        ORDERS,
        "used on every day until the release and never since",
        direction="egress",
        policy="orders",
    ),
    Expected(
        RETIRED,
        "unused",
        "shop/Deployment/redis",
        "the other end of the same",
        direction="ingress",
        policy="redis",
    ),
    Expected(
        NEW,
        "denied",
        "shop/Deployment/web",
        "enforced: the badge on every page stays empty",
        CART,
        "egress",
    ),
    Expected(
        NEW,
        "denied",
        "legacy/Deployment/mainframe-bridge",
        "audited: it works until the namespace is enforced",
        "legacy/Deployment/exporter + Deployment/importer",
        "egress",
    ),
    Expected(
        NEW,
        "uncovered",
        "monitoring/Deployment/grafana",
        "merged and not applied yet: it works until the policies are",
        "monitoring/StatefulSet/alertmanager",
        "egress",
    ),
    Expected(
        LATERAL,
        "suspicious",
        CART,
        "stopped by the policy of the database",
        "payments/StatefulSet/ledger-db",
        "egress",
    ),
    Expected(
        LATERAL,
        "suspicious",
        CART,
        "stopped by the policy of checkout",
        "payments/Deployment/checkout",
        "egress",
    ),
    Expected(
        LATERAL,
        "suspicious",
        CART,
        "answered: nothing stands in the way there yet",
        "monitoring/StatefulSet/prometheus",
        "egress",
    ),
    Expected(
        UNPROTECTED,
        "unprotected",
        "shop/Deployment/recommender",
        "it resolves names, calls the supplier, and nothing closes it",
    ),
    Expected(SILENT, "unknown", "", "what happened there is not known, and that is said"),
)
#: What goes on as on every night and must not be told: beside each, why.
QUIET = (
    (
        "the beacon of one web replica, dropped since the policies are enforced",
        "held back for a person already",
    ),
    ("the leftover cache client of catalog, dropped by redis-clients", "as usual"),
    ("scans of the ingress controller from the internet, dropped now and unanswered before", "as usual"),
    ("the dead database that catalog still calls, dropped now and unanswered before", "it never worked"),
    (
        "the miner in legacy",
        "its proposal names the address, for a person to decide, and is deployed as it is",
    ),
    ("pods of the node that was silent", "silence there is no finding about them"),
    ("jobs that do not run on a Tuesday", "their policies are not called unused"),
)


def write_truth(out: TextIO) -> None:
    """One row per finding."""
    out.write(
        "# Written by sample_data/night/generate.py; sample_data/README.md says what the fields mean.\n"
    )
    out.write("findings:\n")
    for one in EXPECTED:
        row = {key: value for key, value in (asdict(one) | {"since": one.since}).items() if value}
        out.write(f"- {json.dumps(row)}\n")
    out.write("not_told:\n")
    out.writelines(f"- {json.dumps({'what': what, 'why': why})}\n" for what, why in QUIET)
