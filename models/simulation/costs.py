"""
What a policy set costs: entries in the endpoint's policy map, and what rules open beyond what was seen.

One map per endpoint holds both directions (``bpf-policy-map-max``, 16384 by default). An entry costs the
identities it selects times the prefixes its ports split into. Addresses outside have the identity of the
prefix (`models.simulation.prefixes`) or the name by which policies select them; one that several names share
has one of its own, which is not counted. Duplicates share one map entry.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from models.domain.agent import MAP_SIZE, AgentConfig
from models.domain.cidr import CidrSelector
from models.domain.fqdn import FqdnSelector
from models.domain.labels import LabelSet
from models.domain.policy import Entry, PolicySet, RuleRef
from models.simulation.bits import Bools
from models.simulation.context import Side
from models.simulation.edges import EdgeTable
from models.simulation.findings import FindingKind, RuleFinding
from models.simulation.matching import is_wildcard_peer
from models.simulation.peer_rows import PeerRows
from models.simulation.prefixes import NamedPrefixes
from models.simulation.side_index import SideIndex

WARN_SHARE: Final = 0.5  # of the map: identities come and go, and overflow drops or admits traffic
BROAD_FACTOR: Final = 3  # identities opened per identity seen before a rule is called over-broad
BROAD_MINIMUM: Final = 10  # identities opened and not seen; below it breadth is not worth a reviewer's time


def map_entries(entry: Entry, identity_count: int) -> int:
    """
    Policy-map entries one rule needs at one endpoint.

    Parameters
    ----------
    entry
        Of the endpoint.
    identity_count
        Identities its peers select now; ignored for "any peer", which costs one.
    """
    identities = 1 if is_wildcard_peer(entry) else identity_count
    if entry.ports is None:
        return identities
    masks = sum(r.mask_count if not r.every_port else 1 for rule in entry.ports for r in rule.ports)
    return identities * (masks + sum(len(name.protocols) for rule in entry.ports for name in rule.named))


@dataclass(frozen=True, slots=True)
class MapCost:
    """
    Policy-map entries of one identity, both directions together.

    Parameters
    ----------
    labels
        Of the identity.
    entries
        Entries that its endpoints need.
    rule, most
        The costliest rule, and what it needs of them.
    """

    labels: LabelSet
    entries: int
    rule: RuleRef
    most: int


class Breadth:
    """
    How many of the known identities each rule selects.

    Parameters
    ----------
    policies
        Parsed.
    sides
        The known identities: one side per label set, and outside addresses if wanted.
    config
        Agent settings.
    """

    def __init__(self, policies: PolicySet, sides: Sequence[Side], config: AgentConfig | None = None) -> None:
        self._policies = policies
        self._sides = tuple(sides)
        settings = config or AgentConfig()
        selectors = [peer for entry in policies.entries for peer in entry.peers or ()]
        cidrs = [s for s in selectors if isinstance(s, CidrSelector)]
        index = SideIndex.of(
            self._sides,
            [prefix for s in cidrs for prefix in (s.prefix, *s.excepted)],
            list(dict.fromkeys(s for s in selectors if isinstance(s, FqdnSelector))),
            settings,
        )
        self._index = index
        self._rows = PeerRows(index, settings)
        self._prefixes = NamedPrefixes(cidrs)

    def selected(self, entry: Entry) -> Bools:
        """Which of the sides an entry's peers surely select, shape (sides,)."""
        return self._rows.selected_by(entry)[self._index.class_of]

    def costs(self) -> tuple[RuleFinding, ...]:
        """
        Subjects whose policy map would be filled beyond ``WARN_SHARE``.

        Returns
        -------
        tuple of RuleFinding
            The costliest rule of each such subject, `count` being the subject's map entries.
        """
        found: dict[RuleRef, RuleFinding] = {}
        for cost in self.by_subject():
            if cost.entries <= MAP_SIZE * WARN_SHARE:
                continue
            because = (
                f"a subject needs {cost.entries} of {MAP_SIZE} policy-map entries, {cost.most} for this rule"
            )
            if cost.rule not in found or found[cost.rule].count < cost.entries:
                found[cost.rule] = RuleFinding(FindingKind.COSTLY, cost.rule, because, count=cost.entries)
        return tuple(sorted(found.values()))

    def by_subject(self) -> tuple[MapCost, ...]:
        """What the policies cost each label set that they select, the costliest first."""
        entries = self._policies.entries
        counts = np.array([map_entries(one, self._identities(one)) for one in entries], dtype=np.int64)
        label_count = len(self._index.label_sets)
        totals = np.zeros(label_count, dtype=np.int64)
        most = np.full(label_count, -1, dtype=np.int64)
        worst = np.zeros(label_count, dtype=np.int64)
        for number, entry in enumerate(entries):
            mine = self._index.labels.selected(entry.subject)
            totals += mine * counts[number]
            higher = mine & (counts[number] > most)
            most[higher], worst[higher] = counts[number], number
        found = [
            MapCost(labels, int(totals[n]), entries[worst[n]].ref(), int(most[n]))
            for n, labels in enumerate(self._index.label_sets)
            if most[n] >= 0
        ]
        return tuple(
            sorted(found, key=lambda cost: (-cost.entries, [str(one) for one in cost.labels.labels]))
        )

    def _identities(self, entry: Entry) -> int:
        """Identities that an entry's peers select: known ones, those of prefixes and of names."""
        peers = entry.peers or ()
        prefixes = [one for one in peers if isinstance(one, CidrSelector)]
        names = {one for one in peers if isinstance(one, FqdnSelector)}
        others = tuple(one for one in peers if not isinstance(one, CidrSelector | FqdnSelector))
        known = int(self.selected(replace(entry, peers=others)).sum())
        return known + self._prefixes.selected(prefixes) + len(names)

    def over_broad(self, seen: EdgeTable, matched: Sequence[int]) -> tuple[RuleFinding, ...]:
        """
        Allow rules that open far more identities than were seen to use them.

        Parameters
        ----------
        seen
            Observed edges over the same sides.
        matched
            Per edge: index of the deciding entry, -1 for none (``EdgeVerdicts.entry``).
        """
        users: dict[int, set[int]] = defaultdict(set)
        for number, peer in zip(matched, seen.peer, strict=True):
            if number >= 0:
                users[int(number)].add(int(peer))
        found = []
        for number, entry in enumerate(self._policies.entries):
            if entry.denies:
                continue
            opened = np.flatnonzero(self.selected(entry))
            unseen = len(set(opened.tolist()) - users[number])
            if unseen >= BROAD_MINIMUM and len(opened) > BROAD_FACTOR * max(1, len(users[number])):
                because = (
                    f"opens {len(opened)} of the peers that were seen, {len(users[number])} of which used it"
                )
                found.append(RuleFinding(FindingKind.OVER_BROAD, entry.ref(), because, count=unseen))
        return tuple(sorted(found))
