"""Quarantine entries: what is held back, with the evidence and the question to its owner."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import pandas as pd

from models.domain.confidence import PRIOR, Argument, shown_probability
from models.domain.peer import EndpointPeer, FqdnPeer, Peer
from models.domain.proposal import Proposal
from models.domain.quarantine import Quarantined, quarantine_id
from models.domain.rule import Rule
from models.learning.cells import CELL_KEY, cell_ids
from models.synthesis.edges import Edge, EdgeTable
from models.synthesis.leftovers import peer_text, port_text
from models.synthesis.screened import Screened
from models.synthesis.targets import edge_target, endpoint_peer
from models.synthesis.view import ClusterView

#: Reason code of the screening to the sentence a reviewer reads.
WHY_ODD: Final = MappingProxyType(
    {
        "began_without_release": (
            "A new destination outside that is called round the clock, and that no release explains."
        ),
        "beside_lone_sighting": (
            "One replica did this once, within an hour of something outside that it did once: so people work."
        ),
        "debug_or_exec": "It comes from a debug container or an exec session.",
        "dns_information": "The names asked for carry more than names do: data may leave in them.",
        "generated_name": "The name looks generated, and many like it were asked for in vain.",
        "held_before": (
            "It was held back on an earlier night. Nothing fires tonight, and nothing seen since explains it."
        ),
        "lone_sighting": "Outside, on one day and from one replica only.",
        "looks_like_attack": "A model trained on attacks finds it among the oddest percent of the cluster.",
        "low_evidence": "Its evidence is among the weakest percent of the cluster, and speaks against it.",
        "many_at_once": "One replica met five workloads or more within one hour, once, and no mate did.",
        "never_answered": "Nothing ever answered.",
        "one_replica_began": "One replica of several began this; a release would have changed all of them.",
        "only_dropped": "Every attempt was dropped.",
        "ownerless_pod": "It comes from a pod without an owner that was there for a few days at most.",
        "put_off": "A reviewer wants to be asked again; until then it stays held back.",
        "scan": "It belongs to a run of contacts most of which failed, as a scan makes them.",
        "strangers_at_once": "Several workloads of other teams were met within one hour, and hardly again.",
        "too_little_evidence": "Strict wants two of: two replicas, three days, another team that uses it.",
        "unwanted_name": "It shares a name with something that a reviewer confirmed as unwanted.",
        "waits_one_night": "It was held back last night; what the last night alone turned waits one more.",
    }
)
#: Flows that an entry names.
MAX_SAMPLES: Final = 3
QUESTIONS: Final = "DNS questions"


def quarantine(
    cluster: str, view: ClusterView, table: EdgeTable, screened: Screened
) -> list[tuple[str, Quarantined]]:
    """
    Entries of a window, each behind a label-set key of its subject.

    Parameters
    ----------
    cluster
        Under which the window is stored.
    view
        Who is who, before roles are formed.
    table
        The distinct edges.
    screened
        What is held back.
    """
    edges: dict[str, list[Edge]] = defaultdict(list)
    for place, reason in screened.held().items():
        if reason == "quarantined":
            edges[screened.raw.cell_of[place]].append(table.edges[place])
    cells = screened.raw.cells
    rows: dict[str, Any] = {str(row.Index): row for row in cells.loc[sorted(edges)].itertuples()}
    mirrors = _mirrors(cells.loc[sorted(edges)])
    found = [
        (
            edges[cell][0].subject,
            replace(
                _entry(view, screened, edges[cell], rows[cell]),
                id=quarantine_id(cluster, cell),
                mirror=mirrors[cell],
            ),
        )
        for cell in sorted(edges)
    ]
    return [*found, *_tunnels(cluster, screened)]


def settle(
    entries: Iterable[tuple[str, Quarantined]],
    proposals: Iterable[Proposal],
    proposal_of: Mapping[str, str],
) -> tuple[tuple[Quarantined, ...], tuple[Proposal, ...]]:
    """
    Entries with the proposal that leaves them out, sorted, and the proposals with their entries.

    Parameters
    ----------
    entries
        Of `quarantine`.
    proposals
        Of the run.
    proposal_of
        Key of the proposal by label-set key of its subject.
    """
    made = {proposal.key: proposal for proposal in proposals}
    settled = []
    for label_key, entry in entries:
        proposal = made.get(proposal_of.get(label_key, ""))
        if proposal is None:
            settled.append(entry)
        else:
            nearest = nearest_rule(entry, proposal.rules)
            settled.append(replace(entry, proposal=proposal.key, nearest_rule=nearest))
    settled.sort(key=lambda one: one.sort_key)
    own: dict[str, list[Quarantined]] = defaultdict(list)
    for entry in settled:
        own[entry.proposal].append(entry)
    held = tuple(replace(proposal, quarantine=tuple(own[key])) for key, proposal in made.items())
    return tuple(settled), held


def _mirrors(cells: pd.DataFrame) -> dict[str, str]:
    """The same call as a cell of the other end; "" where the other end is no pod."""
    swapped = cells[list(CELL_KEY)].copy()
    swapped["subject"], swapped["peer"] = cells["peer"], cells["subject"]
    swapped["direction"] = cells["direction"].map({"ingress": "egress", "egress": "ingress"})
    inside = (cells["peer_kind"] == "endpoint").to_numpy()
    ids = cell_ids(swapped).where(inside, "")
    return dict(zip(map(str, cells.index), ids.tolist(), strict=True))


def _entry(view: ClusterView, screened: Screened, edges: Sequence[Edge], row: Any) -> Quarantined:
    """Entry of a cell, without what depends on other cells and on the cluster's name."""
    cell = str(row.Index)
    facts: Any = screened.facts.loc[cell]
    owner = view.workload(edges[0].subject)
    reasons = screened.reasons(cell)
    replicas = 0 if pd.isna(facts["replicas"]) else int(facts["replicas"])
    title = f"{peer_text(view, edges[0])} on {port_text(edges[0])}"
    legit = screened.p_legit(cell)
    workload = owner.title if owner is not None else edges[0].subject
    way = "to reach" if row.direction == "egress" else "to be reached from"
    seen = datetime.fromtimestamp(row.first_us // 1_000_000, tz=UTC).strftime("%d %B %H:%M UTC")
    return Quarantined(
        id="",
        cell=cell,
        mirror="",
        namespace=owner.namespace if owner is not None else "",
        workload=workload,
        direction=row.direction,
        peer=_peer(view, edges[0]),
        title=title,
        reasons=tuple(sorted(reasons)),
        why=tuple(WHY_ODD[reason] for reason in sorted(reasons)),
        ledger=tuple(Argument(one.name, one.bits, one.because) for one in screened.evidence(cell)),
        p_legit=None if legit is None else shown_probability(legit),
        provenance=screened.provenance(cell),
        first_us=int(row.first_us),
        last_us=int(row.last_us),
        days_seen=int(row.active_days),
        flows=int(row.flows + row.audited),
        pods=int(row.subject_pods),
        replicas=replicas,
        samples=tuple(sorted({sample for edge in edges for sample in edge.samples}))[:MAX_SAMPLES],
        question=f"Does {workload} have {way} {title}? It began on {seen}.",
    )


def _tunnels(cluster: str, screened: Screened) -> Iterable[tuple[str, Quarantined]]:
    """Domains whose names carry data: there is no connection to hold back, only the questions."""
    for tunnel in screened.tunnels:
        why = WHY_ODD["dns_information"]
        entry = Quarantined(
            id=quarantine_id(cluster, tunnel.cell),
            cell=tunnel.cell,
            mirror="",
            namespace=tunnel.namespace,
            workload=tunnel.workload,
            direction="egress",
            peer=FqdnPeer(pattern=f"*.{tunnel.domain}"),
            title=f"{QUESTIONS} for names under {tunnel.domain}",
            reasons=("dns_information",),
            why=(why,),
            ledger=(Argument("rate", -1.0, f"{tunnel.rate:.0f} bits of new names an hour"),),
            p_legit=None,
            provenance=PRIOR,
            first_us=tunnel.first_us,
            last_us=tunnel.last_us,
            days_seen=tunnel.days,
            flows=tunnel.questions,
            pods=0,
            replicas=0,
            samples=(),
            question=f"Why does {tunnel.workload} ask for {tunnel.names} names under {tunnel.domain}?",
        )
        yield tunnel.label_keys[0], entry


def _keys(peer: Peer) -> set[str]:
    return {one.key for one in peer.each} if isinstance(peer, FqdnPeer | EndpointPeer) else {peer.key}


def _peer(view: ClusterView, edge: Edge) -> Peer | None:
    """The other side itself: what a rule would name may be wider, or nothing where a pod is gone."""
    workload = view.workload(edge.peer) if edge.peer_kind == "endpoint" else None
    if workload is not None and edge.peer not in view.workloads.entities:
        return endpoint_peer(view, workload)
    target = edge_target(view, edge)
    return None if isinstance(target, str) else target.peers[0]


def nearest_rule(entry: Quarantined, rules: Iterable[Rule]) -> str:
    """Id of the rule most like an entry: of its peer, else of its port, in its direction."""
    mine = [rule for rule in rules if rule.direction == entry.direction]
    same_peer = [rule.id for rule in mine if entry.peer is not None and entry.peer.key in _keys(rule.peer)]
    same_port = [
        rule.id for rule in mine if any(entry.title.endswith(f" on {port.text}") for port in rule.ports)
    ]
    return next(iter([*same_peer, *same_port]), "")
