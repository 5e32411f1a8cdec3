"""
Roles across namespaces: the web of every tenant is one peer to the service that all tenants share.

Workloads of one kind and name in several namespaces that do the same are a family. As a peer a family is
named by labels alone, in every namespace, so that tomorrow's tenant is admitted where yesterday's are;
only if these labels are carried by its members and nobody else in the cluster, living or gone. As subjects
its members keep a policy each: a clusterwide policy cannot say "the database of the own namespace".
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from models.domain.labels import NAMESPACE_LABELS_PREFIX
from models.domain.peer import EVERY_NAMESPACE, EndpointPeer, LabelSelector
from models.domain.workload import Workload
from models.learning.label_choice import LabelIndex, Pair
from models.learning.roles import Roles
from models.synthesis.edges import Edge
from models.synthesis.exchange import Exchange
from models.synthesis.population import common_labels
from models.synthesis.profiles import kind_key, profiles, stem, workload_key
from models.synthesis.tenants import Tenancy, another_pays
from models.synthesis.view import ClusterView

#: Namespaces from which a kind of workload is a family: two of one stem (``eu-01`` and ``eu-02``), or this
#: many of any name. Two strangers may be a production and its copy, which nobody means to open to all. One
#: is enough that is a tenant's by its name or labels (`models.synthesis.tenants`).
MIN_NAMESPACES: Final = 2
MIN_UNLIKE_NAMESPACES: Final = 3
#: Namespaces that a sentence names.
_SHOWN: Final = 3
#: Said by the namespace itself, so it names one namespace and never a family of them.
_OWN_NAME: Final = f"{NAMESPACE_LABELS_PREFIX}kubernetes.io/metadata.name"


@dataclass(frozen=True, slots=True)
class Family:
    """
    A role across namespaces.

    Parameters
    ----------
    peer
        How a rule names it.
    members
        ``label_keys`` of its workloads, sorted.
    titles
        Their names, in the same order.
    namespaces
        Where they live.
    """

    peer: EndpointPeer
    members: tuple[tuple[str, ...], ...]
    titles: tuple[str, ...]
    namespaces: frozenset[str]


@dataclass(frozen=True, slots=True)
class Families:
    """
    All families of a cluster.

    Parameters
    ----------
    all
        Sorted by peer.
    of
        Family by the ``label_keys`` of a member.
    role_of
        Role by workload (`workload_key`), for tomorrow night.
    nameless
        What is to be said of members of roles that no label names alone, by their ``label_keys``.
    """

    all: tuple[Family, ...] = ()
    of: Mapping[tuple[str, ...], Family] = field(default_factory=dict)
    role_of: Mapping[str, str] = field(default_factory=dict)
    nameless: Mapping[tuple[str, ...], str] = field(default_factory=dict)


def find_families(
    view: ClusterView,
    edges: Sequence[Edge],
    held: Collection[int],
    rates: Exchange,
    previous: Mapping[str, str] = MappingProxyType({}),
) -> Families:
    """
    Find roles across namespaces.

    Parameters
    ----------
    view
        Who is who, roles inside namespaces merged.
    edges
        All of the window.
    held
        Places of edges that are held back.
    rates
        Exchange rates of the posture.
    previous
        Role by workload of last night.
    """
    by_kind: dict[str, list[Workload]] = defaultdict(list)
    for one in view.workloads.all:
        if (
            one.selector is not None
            and not one.gone
            and not one.ownerless
            and not view.foreign(one)
            and kind_key(one)
        ):
            by_kind[kind_key(one)].append(one)
    tenants = _Tenants(view, rates, by_kind)
    several = {
        workload_key(one): one
        for name, kind in by_kind.items()
        if len({one.namespace for one in kind}) >= MIN_NAMESPACES or tenants.expect(name, kind)
        for one in kind
    }
    cells, _ = profiles(view, edges, held)
    cells = cells.loc[cells["workload"].isin(several).to_numpy()]
    if cells.empty:
        return Families()
    keys = {key: kind_key(one) for key, one in several.items()}
    roles = Roles(alpha=rates.alpha, lam=rates.lam_roles, key_bonus=0.0, across_keys=False).fit(
        cells, keys, {key: role for key, role in previous.items() if key in several}
    )
    parts: dict[tuple[str, str], list[Workload]] = defaultdict(list)
    for key, role in roles.roles_.items():
        parts[(keys[str(key)], str(role))].append(several[str(key)])
    index = LabelIndex(
        {key: view.workloads.labels[key] for one in view.workloads.all for key in one.label_keys}
    )
    found: list[Family] = []
    nameless: dict[tuple[str, ...], str] = {}
    for kind in sorted({kind for kind, _ in parts}):
        mine = [part for place, part in sorted(parts.items()) if place[0] == kind]
        named, rest = _named(view, index, kind, mine, tenants)
        found += _told_apart(named)
        for part in rest:
            nameless |= dict.fromkeys((one.label_keys for one in part), _wish(kind, part))
    return Families(
        tuple(found),
        {member: family for family in found for member in family.members},
        {str(key): str(role) for key, role in roles.roles_.items()},
        nameless,
    )


def _named(
    view: ClusterView, index: LabelIndex, kind: str, parts: list[list[Workload]], tenants: "_Tenants"
) -> tuple[list[Family], list[list[Workload]]]:
    """
    Families of a kind, and the parts that are none because no label names them alone.

    Labels that tell a kind from everything else may not tell its parts from each other: then the whole kind
    is the family, and each rule weighs what that opens.
    """
    wanted = [part for part in parts if _several(part) or tenants.expect(kind, part)]
    families = [_family(view, index, kind, part) for part in wanted]
    if len(parts) > 1 and None in families:
        whole = _family(view, index, kind, [one for part in parts for one in part])
        if whole is not None:
            return [whole], []
    named = [family for family in families if family is not None]
    nameless = [part for part, family in zip(wanted, families, strict=True) if family is None]
    return named, [part for part in nameless if len(part) > 1]


def _wish(kind: str, part: Sequence[Workload]) -> str:
    """What a label would be good for."""
    spaces = sorted({one.namespace for one in part})
    more = f" and {len(spaces) - _SHOWN} more" if len(spaces) > _SHOWN else ""
    return (
        f"{kind} does the same in {', '.join(spaces[:_SHOWN])}{more}, and no label is theirs alone: "
        "with one, the rules of whom they call and who calls them would admit the next of them, too."
    )


def _told_apart(families: list[Family]) -> list[Family]:
    """
    Families of a kind under names of their own: the labels that are each one's alone tell them apart.

    The name of a peer is its identity, so two of one name would be one cell with two selectors.
    """
    if len(families) == 1:
        return families
    return [replace(one, peer=_with_labels_in_name(one.peer)) for one in families]


def _with_labels_in_name(peer: EndpointPeer) -> EndpointPeer:
    (kind,) = peer.workloads
    return replace(peer, workloads=(f"{kind} ({peer.selector.text()})",))


def _several(part: Sequence[Workload]) -> bool:
    """Whether the namespaces of a part are instances of one thing."""
    spaces = {one.namespace for one in part}
    if len(spaces) >= MIN_UNLIKE_NAMESPACES:
        return True
    return len(spaces) >= MIN_NAMESPACES and len({stem(space) for space in spaces}) == 1


class _Tenants:
    """Which workloads are tenants', of which the posture expects another."""

    def __init__(self, view: ClusterView, rates: Exchange, by_kind: Mapping[str, Sequence[Workload]]) -> None:
        self._labels = view.workloads.labels
        self._paying = another_pays(rates)
        self._alike = {kind: {one.namespace for one in part} for kind, part in by_kind.items()}
        self._tenancy = Tenancy.of(
            (one.namespace, self._labels[key])
            for one in view.workloads.all
            if not view.foreign(one)
            for key in one.label_keys
        )

    def expect(self, kind: str, part: Sequence[Workload]) -> bool:
        """Whether all namespaces of a part of a kind are tenants'."""
        places = ((one.namespace, self._labels[one.label_keys[0]]) for one in part)
        return self._paying and self._tenancy.all_tenants(places, self._alike[kind])


def _family(view: ClusterView, index: LabelIndex, kind: str, part: list[Workload]) -> Family | None:
    """The part as a family; ``None`` where no label of its own names it."""
    own = [key for one in part for key in one.label_keys]
    pairs = common_labels(view.workloads, part)
    labels = index.smallest(pairs, own) if pairs else None
    if not labels and pairs:
        labels = index.smallest([*pairs, *_namespace_labels(view, part)], own)
    if not labels:
        return None
    peer = EndpointPeer("", EVERY_NAMESPACE, (kind,), LabelSelector(labels))
    members = sorted((one.label_keys, f"{one.title} in {one.namespace}") for one in part)
    spaces = frozenset(one.namespace for one in part)
    return Family(peer, tuple(keys for keys, _ in members), tuple(title for _, title in members), spaces)


def _namespace_labels(view: ClusterView, part: list[Workload]) -> list[Pair]:
    """Labels of the namespaces that all of them carry, their names aside."""
    sets = [view.workloads.labels[key] for one in part for key in one.label_keys]
    return [
        pair
        for pair in sets[0].items()
        if pair[0].startswith(NAMESPACE_LABELS_PREFIX)
        and pair[0] != _OWN_NAME
        and all(one.get(pair[0]) == pair[1] for one in sets)
    ]
