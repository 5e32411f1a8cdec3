"""
Names outside that one workload uses on one port, as one rule.

In the manifest they share an entry, and whoever reads the policy decides on "443 to these six" at once. What
a person has to look at hard keeps a rule of its own: a name that was seen once or from one replica, and a
pattern, which is a decision about names that nobody saw.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from models.domain.peer import FqdnPeer
from models.synthesis.line import Atom, Line, days_by_peer, list_id

if TYPE_CHECKING:
    from models.domain.rule import Port

#: Why a name keeps a rule of its own.
_ASIDE: Final = frozenset({"needs_review", "admitted", "many_ips_of_name", "wildcard_request"})
#: Place of a cluster's name in the id of a list of names; no cluster is called so.
NAMES: Final = "fqdn:"


def join_names(key: str, atoms: Sequence[Atom]) -> tuple[dict[str, Line], dict[str, str]]:
    """
    Join the ordinary names of one proposal, port by port.

    Parameters
    ----------
    key
        Of the proposal.
    atoms
        One per peer and port.

    Returns
    -------
    tuple
        Lines by rule id, and the rule id of each atom that went into one; the others are left alone.
    """
    lines: dict[str, Line] = {}
    home: dict[str, str] = {}
    gates: dict[tuple[str, tuple[Port, ...]], list[tuple[FqdnPeer, Atom]]] = defaultdict(list)
    for atom in atoms:
        peer = atom.line.peer
        apart = atom.line.resolver or atom.line.inspected or bool(atom.flags & _ASIDE)
        if isinstance(peer, FqdnPeer) and peer.name and not apart:
            gates[(atom.line.direction, atom.line.ports)].append((peer, atom))
    for (direction, ports), gate in sorted(gates.items()):
        if len(gate) > 1:
            identifier = list_id(key, direction, NAMES, ports)
            lines[identifier] = _joined(sorted(gate, key=lambda one: one[0]))
            home |= {atom.id: identifier for _, atom in gate}
    return lines, home


def _joined(gate: Sequence[tuple[FqdnPeer, Atom]]) -> Line:
    first = gate[0][1].line
    peer = FqdnPeer(members=tuple(one for one, _ in gate))
    line = Line(first.direction, peer, first.ports, first.resolver, first.outside)
    for one, atom in gate:
        line.absorb(atom.line)
        line.days[one.title] = atom.days
    line.reasons.add(days_by_peer(line.days))
    return line
