"""
Lines of an allow-list: exact peers become families where that pays, and what is left of one port is listed.

A *line* is a rule to be. Each starts as one peer and one port. Peers that play one role in several
namespaces give way to the family (`models.synthesis.families`), and the workloads of one namespace that
share a port share a line, as they would share an entry in a policy written by hand. What a person has to
look at hard keeps a line of its own, so that it can be refused alone.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from models.domain.peer import EVERY_NAMESPACE, EndpointPeer, LabelSelector
from models.domain.rule import Port, Widening, rule_id
from models.domain.workload import Workload
from models.synthesis.exchange import Exchange
from models.synthesis.families import Families, Family
from models.synthesis.line import Atom, Line, days_by_peer, list_id
from models.synthesis.name_lines import join_names

#: Members of a family that may be admitted without having been seen at a gate, as a share of all. They play
#: the role, so this is no selector that catches strangers (those are never accepted); each has its price.
MAX_EXTRA: Final = 0.5
#: The same for a subject that deals with all the namespaces of the family anyway, as whoever scrapes most
#: workloads of every tenant does.
MAX_EXTRA_DEALT: Final = 0.75
#: Members of a family that must have been seen before it stands for the others; one is enough for a subject
#: that deals with the namespaces of all the others anyway, as whoever scrapes every tenant does.
MIN_SEEN: Final = 2
#: Why a peer needs a person's eye for what it is, and not for how seldom it was seen.
_ODD: Final = frozenset({"wide_peer", "ownerless_peer", "stale_peer", "one_replica"})
#: What a person decides on, or has decided on, by itself: it is on no list.
_BY_ITSELF: Final = frozenset({"needs_review", "admitted"})


@dataclass(frozen=True, slots=True)
class Grouping:
    """
    What lines are joined by.

    Parameters
    ----------
    key
        Of the proposal.
    namespace
        Of the subject.
    families
        Roles across namespaces.
    workload_of
        Workload by label-set key.
    held
        Label-set keys of the peers that are held back, by direction and port: no family may admit them.
    rates
        Exchange rates of the posture.
    apart
        Ids of rules for one peer that were no list last night.
    """

    key: str
    namespace: str
    families: Families
    workload_of: Mapping[str, Workload]
    held: Mapping[tuple[str, Port], Collection[str]]
    rates: Exchange
    apart: Collection[str]


def join_lines(grouping: Grouping, atoms: Sequence[Atom]) -> tuple[dict[str, Line], dict[str, str]]:
    """
    Join the lines of one proposal.

    Parameters
    ----------
    grouping
        What they are joined by.
    atoms
        One per peer and port.

    Returns
    -------
    tuple
        Lines by rule id, and the rule id that each atom went into by its own.
    """
    lines, home = join_names(grouping.key, atoms)
    gates: dict[tuple[str, tuple[Port, ...]], list[Atom]] = defaultdict(list)
    dealt = _dealt(atoms)
    for atom in atoms:
        if isinstance(atom.line.peer, EndpointPeer) and not atom.line.resolver:
            gates[(atom.line.direction, atom.line.ports)].append(atom)
    for (direction, ports), gate in sorted(gates.items()):
        left = gate
        identifier_of = _ListIds(grouping.key, direction, ports)
        lists: dict[str, list[Line]] = defaultdict(list)
        for family, members in _families(grouping, direction, ports, gate, dealt[direction]):
            taken = {atom.id for atom in members}
            left = [atom for atom in left if atom.id not in taken]
            line = _family_line(grouping, family, members)
            if line.inspected:
                identifier = rule_id(grouping.key, line.direction, line.peer, ports)
                lines[identifier] = line
                home |= dict.fromkeys(taken, identifier)
                continue
            lists[""].append(line)
            home |= dict.fromkeys(taken, identifier_of[""])
        ordinary = _ordinary(left)
        identifier_of.keep(ordinary, grouping.apart)
        for cluster, atom in ordinary:
            atom.line.days[atom.line.peer.title] = atom.days
            lists[cluster].append(atom.line)
            home[atom.id] = identifier_of[cluster]
        for cluster, joined in lists.items():
            lines[identifier_of[cluster]] = _list(grouping.namespace, cluster, joined)
    for atom in atoms:
        if atom.id not in home:
            lines[atom.id], home[atom.id] = atom.line, atom.id
    return lines, home


def _ordinary(atoms: Sequence[Atom]) -> list[tuple[str, Atom]]:
    """Those whom a list may name, with the cluster of the peer."""
    return [
        (atom.line.peer.cluster, atom)
        for atom in atoms
        if isinstance(atom.line.peer, EndpointPeer)
        and not atom.flags & _BY_ITSELF
        and not atom.line.inspected
    ]


class _ListIds(dict[str, str]):
    """Ids of the lists of one direction and port, by cluster of the peers."""

    def __init__(self, key: str, direction: str, ports: tuple[Port, ...]) -> None:
        super().__init__()
        self._about = (key, direction, ports)

    def __missing__(self, cluster: str) -> str:
        key, direction, ports = self._about
        self[cluster] = list_id(key, direction, cluster, ports)
        return self[cluster]

    def keep(self, ordinary: Sequence[tuple[str, Atom]], apart: Collection[str]) -> None:
        """Call a list of one as it was called when it stood apart: it means the same, so decisions hold."""
        sizes = Counter(cluster for cluster, _ in ordinary)
        for cluster, atom in ordinary:
            if sizes[cluster] == 1 and cluster not in self and atom.id in apart:
                self[cluster] = atom.id


def _dealt(atoms: Sequence[Atom]) -> dict[str, set[str]]:
    """Namespaces of the ordinary peers, by direction."""
    found: dict[str, set[str]] = defaultdict(set)
    for atom in atoms:
        if isinstance(atom.line.peer, EndpointPeer) and not atom.flags & _BY_ITSELF:
            found[atom.line.direction].add(atom.line.peer.namespace)
    return found


def _families(
    grouping: Grouping, direction: str, ports: tuple[Port, ...], gate: Sequence[Atom], dealt: Collection[str]
) -> list[tuple[Family, list[Atom]]]:
    """Families that stand for peers of one direction and port, with the atoms each stands for."""
    found: dict[Family, list[Atom]] = defaultdict(list)
    for atom in gate:
        keys = {edge.peer for edge in atom.line.edges.values()}
        workload = next(
            (grouping.workload_of[key] for key in sorted(keys) if key in grouping.workload_of), None
        )
        family = grouping.families.of.get(workload.label_keys) if workload is not None else None
        if family is not None and not atom.flags & _ODD:
            found[family].append(atom)
    held = {key for port in ports for key in grouping.held.get((direction, port), ())}
    return [
        (family, atoms)
        for family, atoms in sorted(found.items(), key=lambda pair: pair[0].peer)
        if _pays(grouping, family, atoms, dealt)
        and not held & {key for keys in family.members for key in keys}
    ]


def _pays(grouping: Grouping, family: Family, atoms: Sequence[Atom], dealt: Collection[str]) -> bool:
    extra = len(family.members) - len(atoms)
    everywhere = family.namespaces <= set(dealt)
    if extra > (MAX_EXTRA_DEALT if everywhere else MAX_EXTRA) * len(family.members):
        return False
    if everywhere:
        # It deals with the other instances, too, so that their members are likely to follow.
        return not any(atom.flags & _BY_ITSELF for atom in atoms)
    ports = len(atoms[0].line.ports)
    saved = grouping.rates.lam_roles * (len(atoms) - 1)
    return len(atoms) >= MIN_SEEN and grouping.rates.alpha * extra * ports < saved


def _family_line(grouping: Grouping, family: Family, atoms: Sequence[Atom]) -> Line:
    """One line for the members of a family that were seen, and for the others."""
    first = atoms[0].line
    line = Line(first.direction, family.peer, first.ports, first.resolver, first.outside)
    for atom in atoms:
        line.absorb(atom.line)
    line.inspected = all(atom.line.inspected for atom in atoms)
    extra = (len(family.members) - len(atoms)) * len(first.ports)
    saved = grouping.rates.lam_roles * (len(atoms) - 1)
    line.widening.add(
        Widening(
            "role",
            f"{family.peer.title} ({family.peer.selector.text()})",
            len(atoms),
            pairs=extra,
            openings=grouping.rates.alpha * extra,
            rules=saved,
        )
    )
    line.flags = {"generalised"}
    line.reasons.add(_why_family(family, len(atoms), extra))
    line.days = {family.peer.title: max(atom.days for atom in atoms)}
    return line


def _why_family(family: Family, seen: int, extra: int) -> str:
    """What the reviewer is told about a family at a gate."""
    labels = family.peer.selector.text()
    if len(family.members) == 1:
        return (
            f"{family.titles[0]} is the only one of its kind, and its namespace is a tenant's: the rule "
            f"selects it by {labels} in every namespace, so it admits the next tenant's, and whatever else "
            "comes to carry these labels. Today it opens nothing more than what was seen."
        )
    return (
        f"{seen} workloads in as many places play one role ({family.peer.title}): the rule selects "
        f"them by {labels}, so it admits tomorrow's too. Today it opens "
        f"{extra} pair{'' if extra == 1 else 's'} beyond what was seen."
    )


def _list(own: str, cluster: str, joined: Sequence[Line]) -> Line:
    """One line for all peers of one cluster; a single one keeps its own form."""
    ordered = sorted(joined, key=lambda line: line.peer.key)
    first = ordered[0]
    line = Line(first.direction, first.peer, first.ports, first.resolver, first.outside)
    for one in ordered:
        line.absorb(one)
    if len(ordered) > 1:
        found = (one.peer for one in ordered if isinstance(one.peer, EndpointPeer))
        peers = tuple(sorted(found, key=lambda peer: (peer.namespace != own, peer)))
        names = tuple(sorted({name for peer in peers for name in peer.workloads}))
        spaces = {peer.namespace for peer in peers}
        namespace = spaces.pop() if len(spaces) == 1 else EVERY_NAMESPACE
        line.peer = EndpointPeer(cluster, namespace, names, LabelSelector(), peers)
        line.reasons.add(days_by_peer(line.days))
    return line
