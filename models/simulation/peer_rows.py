"""Rows of bits for sides: which entries' peers fit a peer class, which entries select a label set."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from models.domain.agent import AgentConfig
from models.domain.cidr import CidrSelector
from models.domain.fqdn import FqdnSelector
from models.domain.policy import EntitySelector, Entry, PeerSelector, UndecidablePeer
from models.simulation.bits import Bools, Words, pack_columns
from models.simulation.context import WORLD_LABELS, ResolvedSide
from models.simulation.matching import is_wildcard
from models.simulation.side_index import NO_ADDRESS, NO_NAMES, SideIndex


@dataclass(slots=True)
class PeerRows:
    """
    Answers peer selectors over all peer classes of a side index.

    Parameters
    ----------
    sides
        The classes.
    config
        Agent settings.
    """

    sides: SideIndex
    config: AgentConfig
    _known: dict[PeerSelector, Bools] = field(default_factory=dict)
    _flags: dict[str, Bools] = field(default_factory=dict)
    _nobody: Bools = field(init=False)
    _unknown: Bools = field(init=False)

    def __post_init__(self) -> None:
        """Set up what every selector is answered with."""
        self._nobody = np.zeros(len(self.sides.class_label), dtype=np.bool_)
        self._unknown = self.sides.class_label == self.sides.unknown_label
        for answer in (self._nobody, self._unknown):
            answer.flags.writeable = False

    def rows(self, entries: Sequence[Entry | None]) -> tuple[Words, Words | None]:
        """
        Which entries' peers select each class: surely, and perhaps (``None`` when never in doubt).

        Parameters
        ----------
        entries
            By bit; ``None`` is padding.
        """
        count = len(self.sides.class_label)
        doubted: dict[int, Bools] = {}

        def surely(bit: int) -> Bools:
            yes, maybe = self._entry(entries[bit])
            if maybe.any():
                doubted[bit] = maybe
            return yes

        yes = pack_columns(surely, count, len(entries))
        if not doubted:
            return yes, None
        nobody = np.zeros(count, dtype=np.bool_)
        maybe = pack_columns(lambda bit: doubted.get(bit, nobody), count, len(entries)) & ~yes
        return yes, maybe if maybe.any() else None

    def selected_by(self, entry: Entry) -> Bools:
        """Which peer classes an entry's peers surely select."""
        return self._entry(entry)[0]

    def reserved(self, name: str) -> Bools:
        """Which peer classes carry a reserved label."""
        if name not in self._flags:
            found = np.array([labels.reserved(name) for labels in self.sides.label_sets], dtype=np.bool_)
            self._flags[name] = self.sides.by_label(found)
        return self._flags[name]

    def _entry(self, entry: Entry | None) -> tuple[Bools, Bools]:
        yes = np.zeros(len(self.sides.class_label), dtype=np.bool_)
        maybe = yes.copy()
        if entry is None:
            return yes, maybe
        if entry.peers is None:
            return yes | (entry.ports is not None), maybe
        for selector in entry.peers:
            surely, perhaps = self._selected(selector)
            yes |= surely
            maybe |= perhaps
        return yes, maybe

    def _selected(self, selector: PeerSelector) -> tuple[Bools, Bools]:
        nobody, unknown = self._nobody, self._unknown
        if is_wildcard(selector):
            return ~nobody, nobody
        if isinstance(selector, UndecidablePeer):
            return nobody, ~nobody
        if isinstance(selector, CidrSelector):
            yes, maybe = self._cidr(selector)
            return yes, maybe | unknown
        if isinstance(selector, FqdnSelector):
            yes, maybe = self._fqdn(selector)
            return yes, maybe | unknown
        if selector not in self._known:
            if isinstance(selector, EntitySelector):
                self._known[selector] = self.sides.labels.entity(selector.entity, self.config.cluster_name)
            else:
                self._known[selector] = self.sides.labels.selected(selector, self.config.peer_cluster)
        return self.sides.by_label(self._known[selector]), unknown

    def _outside(self) -> Bools:
        found = [self.reserved(name) for name in WORLD_LABELS]
        return found[0] | found[1] | found[2]

    def _cidr(self, selector: CidrSelector) -> tuple[Bools, Bools]:
        if selector not in self._known:
            self._known[selector] = self.sides.addresses.selected(selector)
        everything = selector.prefix.prefixlen == 0
        eligible = self._outside()
        if self.config.cidr_matches_nodes and not everything:
            eligible = eligible | self.reserved("remote-node")
        placed = self.sides.class_interval != NO_ADDRESS
        yes = eligible & placed & self._known[selector][self.sides.class_interval]
        bare = eligible & ~placed
        exact = self.sides.class_exact
        if not everything or selector.excepted:
            return yes | (bare & exact & everything), bare & ~exact
        if self.config.dual_stack:
            family = self.reserved(f"world-ipv{selector.prefix.version}")
            return yes | (bare & family), bare & ~family
        return yes | (bare & (selector.prefix.version == 4)), np.zeros_like(bare)

    def _fqdn(self, selector: FqdnSelector) -> tuple[Bools, Bools]:
        if selector not in self._known:
            self._known[selector] = np.append(self.sides.names.selected(selector), False)
        eligible = self._outside() & ~self.sides.class_exact
        named = self.sides.class_name != NO_NAMES
        return eligible & named & self._known[selector][self.sides.class_name], eligible & ~named


UNGATED = 0
UNIDENTIFIED = 1
BY_RULES = 2
ALWAYS = 3


def subject_rows(
    sides: SideIndex, entries: Sequence[Entry | None], config: AgentConfig
) -> tuple[Words, list[int]]:
    """
    Which entries select each label set, and how the gate of such a subject works.

    Returns
    -------
    (ndarray of uint64, list of int)
        One row and one kind per label set, then those of an unknown identity: ``UNGATED`` (never
        asked), ``UNIDENTIFIED``, ``BY_RULES`` (enforced where a rule selects), ``ALWAYS``.
    """
    host = np.array([labels.reserved("host") for labels in sides.label_sets], dtype=np.bool_)
    known: dict[object, Bools] = {}

    def column(bit: int) -> Bools:
        entry = entries[bit]
        if entry is None:
            return np.zeros(len(host) + 1, dtype=np.bool_)
        if entry.subject not in known:
            known[entry.subject] = sides.labels.selected(entry.subject)
        return np.append(known[entry.subject] & (host == entry.node_subject), False)

    rows = pack_columns(column, len(host) + 1, len(entries))
    kinds = []
    for labels in sides.label_sets:
        resolved = ResolvedSide(labels)
        if not resolved.managed or resolved.left_alone(config):
            kinds.append(UNGATED)
        else:
            always = config.enable_policy == "always" or resolved.initialising
            kinds.append(ALWAYS if always else BY_RULES)
    asked = config.enable_policy == "always" or any(entry is not None for entry in entries)
    return rows, [*kinds, UNIDENTIFIED if asked else UNGATED]
