"""
Names whose addresses moved: a rule says an address, and the name behind it answers with another one now.

No finding of its own: whoever calls the new address is stopped or not covered, and that is told already.
What is added is why, and that a rule by name would have followed. Rules by name follow by themselves.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from models.domain.cidr import CidrSelector, parse_address
from models.domain.peer import FqdnPeer
from models.domain.policy import Entry
from models.drift.finding import TRAFFIC, Finding
from models.drift.night import Scene
from models.drift.places import subject_of

if TYPE_CHECKING:
    import pandas as pd

_SEPARATOR: Final = ","
#: Namespace and workloads of a caller, and a name that it calls.
_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Old:
    """The rule by address that once was enough for a name."""

    entry: Entry
    last_us: int


def explain_moved_names(scene: Scene, findings: Iterable[Finding]) -> list[Finding]:
    """
    Say of uncovered calls to a name that a rule for its old addresses was used until lately.

    Parameters
    ----------
    scene
        The night and its history.
    findings
        Any; those about names outside are looked into, the others are given back as they are.
    """
    listed = list(findings)
    names = {name for one in listed if _by_name(one) for name in _names(one)}
    if not names:
        return listed
    old = _used_by_address(scene, names)
    return [_explained(one, old) if _by_name(one) else one for one in listed]


def _by_name(finding: Finding) -> bool:
    return finding.kind in TRAFFIC and finding.direction == "egress" and isinstance(finding.peer, FqdnPeer)


def _names(finding: Finding) -> tuple[str, ...]:
    """Names that a finding stands for."""
    first = (finding.peer.name,) if isinstance(finding.peer, FqdnPeer) and finding.peer.name else ()
    return tuple(dict.fromkeys((*first, *finding.merged)))


def _used_by_address(scene: Scene, names: set[str]) -> dict[_Key, _Old]:
    """Newest use of a rule by address per caller and name, if it holds none of tonight's addresses."""
    by_address = {
        number
        for number, part in enumerate(scene.parts)
        if part.peers and all(isinstance(peer, CidrSelector) for peer in part.peers)
    }
    tonight: dict[_Key, set[str]] = defaultdict(set)
    for key, address, _, _ in _calls(scene, scene.rows[scene.rows["part"] < 0], names):
        tonight[key].add(address)
    uses: dict[_Key, list[tuple[int, int]]] = defaultdict(list)
    for key, _, last_us, part in _calls(scene, scene.past[scene.past["part"].isin(by_address)], names):
        uses[key].append((last_us, part))
    newest = {key: max(found) for key, found in uses.items()}
    return {
        key: _Old(scene.parts[part], last_us)
        for key, (last_us, part) in newest.items()
        if not any(_holds(scene.parts[part], address) for address in tonight[key])
    }


def _calls(scene: Scene, rows: "pd.DataFrame", names: set[str]) -> Iterator[tuple[_Key, str, int, int]]:
    """Caller and name, address, last sight and part of each call to one of the names."""
    rows = rows[(rows["direction"] == "egress") & (rows["peer_names"] != "")]
    columns = (rows[name].tolist() for name in ("subject", "peer_names", "peer", "last_us", "part"))
    for subject, joined, peer, last_us, part in zip(*columns, strict=True):
        workload = scene.view.workload(subject)
        if workload is not None:
            place = subject_of(workload)
            for name in sorted(names.intersection(joined.split(_SEPARATOR))):
                yield (place.namespace, place.workload, name), peer, last_us, part


def _holds(entry: Entry, text: str) -> bool:
    """Whether a rule by address holds an address: then it is the port that is not allowed."""
    address = parse_address(text)
    peers = entry.peers or ()
    return address is not None and any(
        peer.contains(address) for peer in peers if isinstance(peer, CidrSelector)
    )


def _explained(finding: Finding, old: dict[_Key, _Old]) -> Finding:
    """A finding with the rule that was enough before, where there was one."""
    for name in _names(finding):
        found = old.get((finding.subject.namespace, finding.subject.workload, name))
        if found is None:
            continue
        until = datetime.fromtimestamp(found.last_us // 1_000_000, UTC)
        peers = ", ".join(map(str, found.entry.peers or ()))
        why = (
            f"{finding.why} The rule for {peers} was enough for {name} until {until:%Y-%m-%d}: "
            "the name has other addresses now."
        )
        suggestion = finding.suggestion
        if suggestion is not None:
            text = (
                f"{suggestion.text} A rule by name (toFQDNs) follows its addresses, one by address does not."
            )
            suggestion = replace(suggestion, text=text)
        return replace(finding, why=why, rule=str(found.entry.ref()), suggestion=suggestion)
    return finding
