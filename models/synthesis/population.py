"""
Roles inside a namespace: workloads that do the same and that one selector can name get one policy.

Shards of an index, the fronts of a shop, the jobs of a team. Who belongs together is found by description
length (`models.learning.roles`); a role counts only if a conjunction of labels selects its members and
nobody else, living or gone, so that tomorrow's shard is selected by it and no neighbour is.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from models.domain.peer import LabelSelector
from models.domain.workload import Workload
from models.learning.label_choice import LabelIndex, Pair, usable
from models.learning.roles import Roles, cells_by_workload
from models.learning.workloads import Workloads
from models.synthesis.edges import Edge
from models.synthesis.exchange import MARGIN, Exchange
from models.synthesis.learned import Learned
from models.synthesis.profiles import kind_key, profiles, stem, workload_key
from models.synthesis.view import ClusterView

#: A pair that a role opens is opened at both ends: to the member, and by it.
ENDS: Final = 2.0
#: Mates that must show what is held back of one of them before it is released: at least, and of all mates.
MIN_VOUCHERS: Final = 2
VOUCHING_SHARE: Final = 0.5
#: Cells that are held back with the places of their edges, by workload.
_Refused = Mapping[str, Mapping[str, frozenset[int]]]


#: Namespace and kind, and role.
_Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Population:
    """
    The cluster with its roles.

    Parameters
    ----------
    view
        The view in which the members of a role are one workload.
    role_of
        Role by workload (`workload_key`), for tomorrow night.
    whole
        Workloads whose policy is that of their whole kind, for tomorrow night.
    vouched
        Places of edges that were held back and that most mates of a role show: not odd after all.
    """

    view: ClusterView
    role_of: Mapping[str, str]
    whole: frozenset[str]
    vouched: frozenset[int]


def _mergeable(view: ClusterView, workload: Workload) -> bool:
    plain = len(workload.members) == 1 and not workload.gone and not workload.ownerless
    return plain and workload.selector is not None and not view.foreign(workload)


def find_population(
    view: ClusterView,
    edges: Sequence[Edge],
    held: Collection[int],
    rates: Exchange,
    previous: Learned,
) -> Population:
    """
    Find roles inside the namespaces.

    Parameters
    ----------
    view
        Who is who.
    edges
        All of the window.
    held
        Places of edges that are held back. A workload joins no role whose mates may do what is held back
        of it: the role must not become a way around the quarantine.
    rates
        Exchange rates of the posture.
    previous
        What last night decided about roles.
    """
    plain = {workload_key(one): one for one in view.workloads.all if _mergeable(view, one)}
    cells, refused = profiles(view, edges, held)
    cells = cells.loc[cells["workload"].isin(plain).to_numpy()]
    keys = {
        key: f"{one.cluster}/{one.namespace}/{one.members[0].partition('/')[0]}" for key, one in plain.items()
    }
    roles = Roles(
        alpha=ENDS * rates.alpha, lam=rates.lam_roles, hysteresis=MARGIN, key_bonus=-MARGIN, across_keys=False
    ).fit(cells, keys, {key: role for key, role in previous.roles.items() if key in plain})
    parts: dict[_Place, list[Workload]] = defaultdict(list)
    for key, role in roles.roles_.items():
        parts[(keys[str(key)], str(role))].append(plain[str(key)])
    did = cells_by_workload(cells)
    vouched = frozenset[int]().union(*(_vouched(part, did, refused) for part in parts.values()))
    for place, part in parts.items():
        parts[place] = _without_refused(part, did, refused, vouched)
    joined: set[str] = set()
    for whole in _whole_kinds(view.workloads, parts, did, rates, previous.whole):
        if _without_refused(whole, did, refused, vouched) == whole:
            _join(parts, whole)
            joined.update(map(workload_key, whole))
    merged = [one for part in sorted(parts) for one in _selectable(view.workloads, parts[part])]
    role_of = {str(key): str(role) for key, role in roles.roles_.items()}
    return Population(_with(view, merged), role_of, frozenset(joined), vouched)


def _vouched(part: list[Workload], did: Mapping[str, frozenset[str]], refused: _Refused) -> frozenset[int]:
    """
    Places of the edges that are held back of one member although most of its mates do the same.

    The first scrape of a new shard is odd for a shard that was born today, and not for a shard.
    """
    keys = [workload_key(one) for one in part]
    needed = max(MIN_VOUCHERS, VOUCHING_SHARE * (len(keys) - 1))
    return frozenset(
        place
        for key in keys
        for cell, places in refused.get(key, {}).items()
        if sum(cell in did.get(mate, frozenset()) for mate in keys if mate != key) >= needed
        for place in places
    )


def _without_refused(
    part: list[Workload], did: Mapping[str, frozenset[str]], refused: _Refused, vouched: Collection[int]
) -> list[Workload]:
    """The part without the members of which something is held back that a mate may do."""
    allowed = frozenset(cell for one in part for cell in did.get(workload_key(one), ()))
    return [
        one
        for one in part
        if not any(
            cell in allowed and not places <= set(vouched)
            for cell, places in refused.get(workload_key(one), {}).items()
        )
    ]


def _whole_kinds(
    workloads: Workloads,
    parts: Mapping[_Place, list[Workload]],
    did: Mapping[str, frozenset[str]],
    rates: Exchange,
    previous: Collection[str],
) -> list[list[Workload]]:
    """
    Kinds of workloads that labels tell from everything else, and their parts not from each other.

    Three of four shards do the same, the fourth is scraped, too. No label says "the three", so the choice is
    one policy for the four or four policies: what the others would be opened to is weighed against the rules
    of all. What was one policy last night stays one until that costs clearly more: a monthly job that runs
    for the first time must not undo the policy of its mates, whose labels it carries.
    """
    kinds: dict[tuple[str, str], dict[_Place, list[Workload]]] = defaultdict(lambda: defaultdict(list))
    for place, part in sorted(parts.items()):
        for one in part:
            if kind := kind_key(one):
                kinds[(place[0], kind)][place].append(one)
    found = []
    for _, by_part in sorted(kinds.items()):
        whole = sorted((one for part in by_part.values() for one in part), key=workload_key)
        was_one = sum(workload_key(one) in previous for one in whole) > 1
        nameless = any(len(part) > 1 and _merge(workloads, part) is None for part in by_part.values())
        if (
            len(by_part) > 1
            and (nameless or was_one)
            and _saving(whole, did, rates) >= (-MARGIN if was_one else MARGIN)
            and _merge(workloads, whole) is not None
        ):
            found.append(whole)
    return found


def _saving(whole: Sequence[Workload], did: Mapping[str, frozenset[str]], rates: Exchange) -> float:
    """What one policy for all saves in rules beyond what it opens to those that did not need it."""
    counts = Counter(cell for one in whole for cell in did.get(workload_key(one), ()))
    opened = sum(len(whole) - count for count in counts.values())
    saved = counts.total() - len(counts)
    return rates.lam_roles * saved - ENDS * rates.alpha * opened


def _join(parts: dict[_Place, list[Workload]], whole: list[Workload]) -> None:
    """Let workloads of several parts be one, in the place of the first."""
    keys = {workload_key(one) for one in whole}
    places = [
        place for place, part in sorted(parts.items()) if any(workload_key(one) in keys for one in part)
    ]
    for place in places:
        parts[place] = [one for one in parts[place] if workload_key(one) not in keys]
    parts[(places[0][0], f"{places[0][1]}, whole")] = whole


def _selectable(workloads: Workloads, part: list[Workload]) -> list[Workload]:
    """The role of a part, or of those of its members that share a name; none where no label says it."""
    if len(part) < 2:  # a role of one is a workload
        return []
    if merged := _merge(workloads, part):
        return [merged]
    by_kind: dict[str, list[Workload]] = defaultdict(list)
    for one in part:
        by_kind[kind_key(one)].append(one)
    if len(by_kind) < 2:  # nothing left to split
        return []
    return [one for kind in sorted(by_kind) for one in _selectable(workloads, by_kind[kind])]


def common_labels(workloads: Workloads, part: Sequence[Workload]) -> list[Pair]:
    """Usable labels that every label set of every member carries."""
    sets = [workloads.labels[key] for one in part for key in one.label_keys]
    return [
        pair for pair in sets[0].items() if usable(*pair) and all(s.get(pair[0]) == pair[1] for s in sets)
    ]


def _merge(workloads: Workloads, part: list[Workload]) -> Workload | None:
    """One workload for all members; ``None`` where labels cannot select them alone."""
    first = part[0]
    neighbours = {
        key: workloads.labels[key]
        for one in workloads.all
        if (one.cluster, one.namespace) == (first.cluster, first.namespace)
        for key in one.label_keys
    }
    own = sorted(key for one in part for key in one.label_keys)
    labels = LabelIndex(neighbours).smallest(common_labels(workloads, part), own)
    if not labels:
        return None
    members = tuple(sorted(member for one in part for member in one.members))
    kind = members[0].partition("/")[0]
    stems = {stem(one.name) for one in part}
    selector = LabelSelector(labels)
    role = f"{kind}/{stems.pop()}-*" if len(stems) == 1 else f"{kind}/{selector.text()}"
    names = ", ".join(member.partition("/")[2] for member in members)
    return replace(
        first,
        members=members,
        label_keys=tuple(own),
        current_keys=tuple(sorted(key for one in part for key in one.current_keys)),
        selector=selector,
        service_account=False,
        first_us=min(one.first_us for one in part),
        last_us=max(one.last_us for one in part),
        notes=(
            f"{names} play one role and share this policy; a new one with the same labels falls under it.",
            *sorted({note for one in part for note in one.notes}),
        ),
        flags=tuple(sorted({"role", *(flag for one in part for flag in one.flags)})),
        role=role,
    )


def _with(view: ClusterView, merged: Sequence[Workload]) -> ClusterView:
    """The view in which each role stands for its members."""
    gone = {key: role for role in merged for key in role.label_keys}
    known = view.workloads
    rest = [one for one in known.all if one.label_keys[0] not in gone]
    everyone = sorted(
        [*rest, *merged], key=lambda one: (one.cluster, one.namespace, one.members, one.label_keys)
    )
    by_label_key = {**known.by_label_key, **gone}
    return replace(view, workloads=replace(known, all=tuple(everyone), by_label_key=by_label_key))
