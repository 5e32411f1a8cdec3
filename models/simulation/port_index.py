"""
Protocols and ports of edges to classes that no rule can tell apart, and their rows of bits.

Ports are cut at the borders of every range and at every known named port, so two ports of one
interval always share their verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.policy import Entry, NamedPort, PortRule
from models.domain.portset import MAX_PORT, PortRange
from models.simulation.bits import Bools, Words, pack_columns
from models.simulation.edges import UNKNOWN_CODE, protocol_code

Ints = NDArray[np.int64]
NamedPorts = tuple[tuple[str, int, str], ...]

_SPAN: Final = MAX_PORT + 3  # intervals per protocol: more than there are ports, plus "not known"


@dataclass(frozen=True, slots=True)
class PortIndex:
    """
    Port classes of some edges.

    Parameters
    ----------
    class_of
        Per edge, shape (n,).
    yes
        Which entries' ports cover the class, shape (classes, words).
    maybe
        Which entries' ports may cover it; ``None`` when nothing is in doubt.
    l7
        Which entries cover it by an element with layer 7 rules; ``None`` when no entry has any.
    """

    class_of: Ints
    yes: Words
    maybe: Words | None
    l7: Words | None

    @classmethod
    def of(
        cls,
        protocol: NDArray[np.int16],
        port: NDArray[np.int32],
        named: Ints,
        named_ports: Sequence[NamedPorts | None],
        entries: Sequence[Entry | None],
    ) -> "PortIndex":
        """
        Number the classes and look every entry up in each of them.

        Parameters
        ----------
        protocol, port
            Columns of the edges; -1 is "not known".
        named
            Class of the destination's named ports, per edge.
        named_ports
            What each such class knows; ``None``: nothing is known.
        entries
            By bit; ``None`` is padding.
        """
        starts = _borders(entries, named_ports)
        interval = np.searchsorted(starts, port, side="right") - 1  # -1 for an unknown port
        key = (named.astype(np.int64) * 64 + protocol + 1) * _SPAN + interval + 1
        keys, class_of = np.unique(key, return_inverse=True)
        place = keys % _SPAN - 1
        classes = _Classes(
            keys // _SPAN % 64 - 1,
            np.where(place < 0, UNKNOWN_CODE, starts[np.maximum(place, 0)]),
            keys // _SPAN // 64,
            named_ports,
        )
        bits, count = len(entries), len(keys)
        maybe = pack_columns(lambda bit: classes.covered(entries[bit])[1], count, bits)
        has_l7 = any(rule.l7 is not None for entry in entries if entry for rule in entry.ports or ())
        return cls(
            class_of.reshape(-1),
            pack_columns(lambda bit: classes.covered(entries[bit])[0], count, bits),
            maybe if maybe.any() else None,
            pack_columns(lambda bit: classes.redirected(entries[bit]), count, bits) if has_l7 else None,
        )


def _borders(entries: Sequence[Entry | None], named_ports: Sequence[NamedPorts | None]) -> Ints:
    borders = {0}
    for entry in entries:
        for rule in (entry.ports or ()) if entry else ():
            for numbers in rule.ports:
                borders |= {numbers.first, numbers.last + 1}
    for known in named_ports:
        for _, number, _ in known or ():
            borders |= {number, number + 1}
    return np.array(sorted(borders), dtype=np.int64)


_Ports = tuple[tuple[PortRange, ...], tuple[NamedPort, ...]]


@dataclass(frozen=True, slots=True)
class _Classes:
    """What each class is made of: protocol code, first port of its interval, class of named ports."""

    protocol: Ints
    port: Ints
    named: Ints
    named_ports: Sequence[NamedPorts | None]
    known: dict[_Ports, tuple[Bools, Bools]] = field(default_factory=dict)  # most rules share their ports

    def covered(self, entry: Entry | None) -> tuple[Bools, Bools]:
        """Whether an entry's ports cover each class: surely, or perhaps."""
        yes = np.full(len(self.port), entry is not None and entry.ports is None, dtype=np.bool_)
        maybe = np.zeros(len(self.port), dtype=np.bool_)
        for rule in (entry.ports or ()) if entry else ():
            by_rule, perhaps = self._by_rule(rule)
            yes |= by_rule
            maybe |= perhaps
        return yes, maybe & ~yes

    def redirected(self, entry: Entry | None) -> Bools:
        """Whether an entry covers each class by an element with layer 7 rules."""
        answer = np.zeros(len(self.port), dtype=np.bool_)
        for rule in (entry.ports or ()) if entry else ():
            if rule.l7 is not None:
                answer |= self._by_rule(rule)[0]
        return answer

    def _by_rule(self, rule: PortRule) -> tuple[Bools, Bools]:
        ports = rule.ports, rule.named
        if ports not in self.known:
            self.known[ports] = self._by_ports(rule)
        return self.known[ports]

    def _by_ports(self, rule: PortRule) -> tuple[Bools, Bools]:
        yes = np.zeros(len(self.port), dtype=np.bool_)
        if not rule.ports and not rule.named:
            return yes, yes
        maybe = self.protocol == UNKNOWN_CODE
        no_port = self.port == UNKNOWN_CODE
        for numbers in rule.ports:
            same = self.protocol == protocol_code(numbers.protocol.value)
            if numbers.every_port:
                yes |= same
            else:
                yes |= same & (numbers.first <= self.port) & (self.port <= numbers.last) & ~no_port
                maybe = maybe | (same & no_port)
        for name in rule.named:
            for protocol in name.protocols:
                same = self.protocol == protocol_code(protocol)
                yes |= same & self._is_named(name.name, protocol)
                maybe = maybe | (same & (no_port | (self.named == 0)))
        return yes, maybe

    def _is_named(self, name: str, protocol: str) -> Bools:
        answer = np.zeros(len(self.port), dtype=np.bool_)
        for number, known in enumerate(self.named_ports):
            ports = [port for label, port, proto in known or () if (label.lower(), proto) == (name, protocol)]
            if ports:
                answer |= (self.named == number) & np.isin(self.port, ports)
        return answer
