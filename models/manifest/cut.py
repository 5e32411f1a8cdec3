"""
One entry as several that say the same together.

Peers of an entry are ORed, and so are its ports, its questions and its requests: whatever is listed may be
listed in two entries, if each of them keeps the rest. The order of what is listed stays.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from models.domain.peer import EndpointPeer, FqdnPeer, Peer
from models.domain.rule import Rule
from models.synthesis.entries import Entry

#: What an entry is cut by: peers first, for that repeats the least.
_LISTS: Final = ("peers", "ports", "dns", "http")


def cut(entry: Entry, size: Callable[[Entry], int], room: int) -> list[Entry]:
    """
    Cut an entry into as few as fit.

    Parameters
    ----------
    entry
        Any.
    size
        Bytes of an entry as it is written; more with everything that it lists.
    room
        Bytes that one may have.

    Returns
    -------
    list of Entry
        The entry itself where it fits. Each piece holds the rules of its peers and ports, so a rule may be
        in several. A piece that is larger than ``room`` cannot be cut.
    """
    if size(entry) <= room:
        return [entry]
    return [_with_its_rules(piece) for piece in _cut(replace(entry, peers=_each(entry.peers)), size, room)]


def _cut(entry: Entry, size: Callable[[Entry], int], room: int) -> list[Entry]:
    if size(entry) <= room:
        return [entry]
    name = next((name for name in _LISTS if len(getattr(entry, name)) > 1), None)
    if name is None:
        return [entry]
    listed: Sequence[Any] = getattr(entry, name)

    def stretch(start: int, end: int) -> Entry:
        changed: dict[str, Any] = {name: listed[start:end]}
        return replace(entry, **changed)

    pieces: list[Entry] = []
    start = 0
    while start < len(listed):
        end = _end(start, len(listed), lambda first, last: size(stretch(first, last)) <= room)
        pieces += _cut(stretch(start, end), size, room)
        start = end
    return pieces


def _end(start: int, count: int, fits: Callable[[int, int], bool]) -> int:
    """End of the longest stretch from ``start`` that fits; one member, where not even that does."""
    low, step = start + 1, 1
    while low + step <= count and fits(start, low + step):
        low, step = low + step, step * 2
    longer = range(low + 1, min(low + step, count + 1))
    return low + bisect_right(longer, False, key=lambda end: not fits(start, end))


def _each(peers: Sequence[Peer]) -> tuple[Peer, ...]:
    """The peers behind lists of them, in the order in which they are written."""
    found = [one for peer in peers for one in _members(peer)]
    # Names are written sorted, whichever rules they are from.
    return tuple(sorted(found, key=lambda one: one.key) if isinstance(found[0], FqdnPeer) else found)


def _members(peer: Peer) -> tuple[Peer, ...]:
    return peer.each if isinstance(peer, EndpointPeer | FqdnPeer) else (peer,)


def _with_its_rules(piece: Entry) -> Entry:
    peers, ports = frozenset(piece.peers), frozenset(piece.ports)

    def is_in(rule: Rule) -> bool:
        return not peers.isdisjoint(_members(rule.peer)) and not ports.isdisjoint(rule.ports)

    return replace(piece, rules=tuple(rule for rule in piece.rules if is_in(rule)))
