"""
The fast evaluator: policies compiled once, a table of edges judged in columns.

It gives the verdict on layers 3 and 4 that `models.simulation.verdict.evaluate` gives, which a
property test holds it to; for the sentence behind a single edge, ask the reference evaluator.

How: every entry is one bit. A subject, a peer class and a port class each have a row of bits, and an
edge's matching entries are the AND of three rows. Edges are grouped by subject row, so only the words
of entries that select the subject are ever touched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.agent import AgentConfig
from models.domain.cidr import CidrSelector
from models.domain.fqdn import FqdnSelector
from models.domain.policy import Direction, Entry, PolicySet
from models.simulation.bits import WORD, Words, first_bit, word_count
from models.simulation.context import PolicyFlow
from models.simulation.decision import Verdict
from models.simulation.edges import PROTOCOLS, EdgeTable
from models.simulation.peer_rows import ALWAYS, UNGATED, UNIDENTIFIED, PeerRows, subject_rows
from models.simulation.port_index import PortIndex
from models.simulation.proxy import conflict
from models.simulation.side_index import SideIndex
from models.simulation.verdict import judge

CHUNK: Final = 1 << 16  # edges judged at a time; bounds the temporary rows to tens of megabytes

DENY: Final = 0
ALLOW: Final = 1
UNKNOWN: Final = 2
VERDICTS: Final = (Verdict.DENY, Verdict.ALLOW, Verdict.UNKNOWN)  # by code
NOT_KNOWN: Final = 2  # of a flag

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EdgeVerdicts:
    """
    What the policies do with each edge.

    Parameters
    ----------
    verdict
        ``DENY``, ``ALLOW`` or ``UNKNOWN``, shape (n,), int8.
    entry
        Index into ``PolicySet.entries`` of the first deciding entry; -1 when none decided (default
        deny, default allow, local host, unknown), shape (n,), int32.
    redirect
        Whether the edge goes through a proxy, shape (n,), bool.
    enforcing, default_deny
        State of the gate: 0, 1, or ``NOT_KNOWN``, shape (n,), int8.
    """

    verdict: NDArray[np.int8]
    entry: NDArray[np.int32]
    redirect: NDArray[np.bool_]
    enforcing: NDArray[np.int8]
    default_deny: NDArray[np.int8]


class CompiledPolicies:
    """
    A policy set ready to judge many edges.

    Parameters
    ----------
    policies
        From `models.manifest.parse.parse_objects`.
    config
        Agent settings; Cilium's defaults when absent.
    """

    def __init__(self, policies: PolicySet, config: AgentConfig | None = None) -> None:
        self._config = config or AgentConfig()
        self._blocks = {direction: _block(policies.entries, direction) for direction in Direction}
        selectors = [peer for entry in policies.entries for peer in entry.peers or ()]
        cidrs = [selector for selector in selectors if isinstance(selector, CidrSelector)]
        self._prefixes = sorted({p for s in cidrs for p in (s.prefix, *s.excepted)}, key=str)
        self._fqdns = list(dict.fromkeys(s for s in selectors if isinstance(s, FqdnSelector)))

    def evaluate(self, edges: EdgeTable) -> EdgeVerdicts:
        """
        Judge every edge on layers 3 and 4.

        Parameters
        ----------
        edges
            Any number, in any order.
        """
        count = len(edges)
        result = EdgeVerdicts(
            np.full(count, ALLOW, dtype=np.int8),
            np.full(count, -1, dtype=np.int32),
            np.zeros(count, dtype=np.bool_),
            np.zeros(count, dtype=np.int8),
            np.zeros(count, dtype=np.int8),
        )
        if self._config.enable_policy == "never" or count == 0:
            return result
        sides = SideIndex.of(edges.sides, self._prefixes, self._fqdns, self._config)
        for direction in Direction:
            chosen = np.flatnonzero(edges.ingress == (direction is Direction.INGRESS))
            if len(chosen):
                gates = _Gates(self._blocks[direction], direction, sides, self._config)
                gates.judge(edges, chosen, result)
        return result


@dataclass(frozen=True, slots=True)
class _Block:
    """Entries of one direction as bits: the allow entries, then on a new word the deny entries."""

    numbers: Ints  # by bit: index into PolicySet.entries, -1 for padding
    entries: tuple[Entry | None, ...]  # by bit
    allow_words: int


def _block(entries: Sequence[Entry], direction: Direction) -> _Block:
    mine = [(number, entry) for number, entry in enumerate(entries) if entry.direction is direction]
    allows = [pair for pair in mine if not pair[1].denies]
    words = word_count(len(allows))
    padding: list[tuple[int, Entry | None]] = [(-1, None)] * (words * WORD - len(allows))
    placed = [*allows, *padding, *(pair for pair in mine if pair[1].denies)]
    numbers = np.array([number for number, _ in placed], dtype=np.int64)
    return _Block(numbers, tuple(entry for _, entry in placed), words)


@dataclass(frozen=True, slots=True)
class _Work:
    """The edges of one direction, their port classes, and where the verdicts go."""

    edges: EdgeTable
    chosen: Ints  # of the direction
    ports: PortIndex  # of the chosen edges
    result: EdgeVerdicts


class _Gates:
    """All gates of one direction over one edge table."""

    def __init__(self, block: _Block, direction: Direction, sides: SideIndex, config: AgentConfig) -> None:
        self._block = block
        self._direction = direction
        self._sides = sides
        self._config = config
        peers = PeerRows(sides, config)
        self._peer_yes, self._peer_maybe = peers.rows(block.entries)
        local = direction is Direction.INGRESS and config.allow_localhost == "always"
        self._local = peers.reserved("host") & local
        self._host = np.array([*(labels.reserved("host") for labels in sides.label_sets), False])
        self._subjects, self._kinds = subject_rows(sides, block.entries, config)

    def judge(self, edges: EdgeTable, chosen: Ints, result: EdgeVerdicts) -> None:
        """Judge the chosen edges and write their verdicts into the result."""
        subject, peer = edges.subject[chosen], edges.peer[chosen]
        ports = PortIndex.of(
            edges.protocol[chosen],
            edges.port[chosen],
            self._sides.named_of[subject if self._direction is Direction.INGRESS else peer],
            self._sides.named_ports,
            self._block.entries,
        )
        work = _Work(edges, chosen, ports, result)
        # Subjects selected by the same entries share one group, whatever their labels are.
        numbers: dict[tuple[int, bytes], int] = {}
        leaders: list[int] = []
        group_of = np.empty(len(self._kinds), dtype=np.int64)
        for label, kind in enumerate(self._kinds):
            group_of[label] = numbers.setdefault((kind, self._subjects[label].tobytes()), len(numbers))
            if group_of[label] == len(leaders):
                leaders.append(label)
        groups = group_of[self._sides.label_of[subject]]
        order = np.argsort(groups, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
            leader = leaders[groups[part[0]]]
            for start in range(0, len(part), CHUNK):
                self._judge_group(leader, part[start : start + CHUNK], work)

    def _judge_group(self, leader: int, part: Ints, work: _Work) -> None:
        """Judge edges whose subjects share one row, the leader's."""
        result, where = work.result, work.chosen[part]
        kind, row = self._kinds[leader], self._subjects[leader]
        if kind == UNIDENTIFIED:
            for column in (result.verdict, result.enforcing, result.default_deny):
                column[where] = NOT_KNOWN
            return
        words = np.flatnonzero(row)
        if kind == UNGATED or (kind != ALWAYS and not len(words)):
            return
        collected = [self._block.entries[bit] for bit in _set_bits(row)]
        entries = [entry for entry in collected if entry is not None]
        default_deny = kind == ALWAYS or any(entry.default_deny for entry in entries)
        result.enforcing[where] = 1
        result.default_deny[where] = default_deny
        if conflict(entries):
            result.verdict[where] = UNKNOWN
        elif any(entry.required_peer is not None for entry in entries):
            self._one_by_one(entries, where, work)
        else:
            self._by_rows(words, part, work, default_deny=default_deny)

    def _by_rows(self, words: Ints, part: Ints, work: _Work, *, default_deny: bool) -> None:
        result, ports, where = work.result, work.ports, work.chosen[part]
        peer_class = self._sides.class_of[work.edges.peer[where]]
        port_class = ports.class_of[part]
        row = self._subjects[self._sides.label_of[work.edges.subject[where[0]]], words]
        by_peer = self._peer_yes[peer_class[:, None], words]
        by_port = ports.yes[port_class[:, None], words]
        sure = by_peer & by_port & row
        allow_words = int(np.searchsorted(words, self._block.allow_words))
        denied = sure[:, allow_words:].any(axis=1)
        allowed = sure[:, :allow_words].any(axis=1)
        local = self._local[peer_class] & ~self._host[self._sides.label_of[work.edges.subject[where]]]
        if not len(words) and not self._config.release.host_without_rules:
            local = np.zeros_like(local)
        lacking = ~allowed & ~local & default_deny
        result.verdict[where] = np.where(denied | lacking, DENY, ALLOW)
        if self._peer_maybe is not None or ports.maybe is not None:
            if self._peer_maybe is not None:
                by_peer |= self._peer_maybe[peer_class[:, None], words]
            if ports.maybe is not None:
                by_port |= ports.maybe[port_class[:, None], words]
            perhaps = by_peer & by_port & row & ~sure
            doubtful = np.where(
                lacking, perhaps[:, :allow_words].any(axis=1), perhaps[:, allow_words:].any(axis=1)
            )
            result.verdict[where[doubtful & ~denied]] = UNKNOWN
        passed = result.verdict[where] == ALLOW
        if ports.l7 is not None:
            proxied = sure[:, :allow_words] & ports.l7[port_class[:, None], words[:allow_words]]
            result.redirect[where] = passed & proxied.any(axis=1)
        deciding = sure.copy()
        deciding[~denied, allow_words:] = 0
        deciding[denied, :allow_words] = 0
        if not len(words):
            return
        bit = first_bit(deciding)
        number = self._block.numbers[words[np.maximum(bit, 0) // WORD] * WORD + np.maximum(bit, 0) % WORD]
        known = (bit >= 0) & (result.verdict[where] != UNKNOWN)
        result.entry[where] = np.where(known, number, -1)

    def _one_by_one(self, entries: Sequence[Entry], where: Ints, work: _Work) -> None:
        """Leave subjects with fromRequires or toRequires (up to 1.18) to the reference evaluator."""
        edges, result = work.edges, work.result
        numbers = {
            entry.ref(): int(number)
            for number, entry in zip(self._block.numbers, self._block.entries, strict=True)
            if entry is not None
        }
        ingress = self._direction is Direction.INGRESS
        for index in where:
            subject, peer = edges.sides[edges.subject[index]], edges.sides[edges.peer[index]]
            code, port = int(edges.protocol[index]), int(edges.port[index])
            name = None if code < 0 else (*PROTOCOLS, "other")[code]
            flow = PolicyFlow(
                self._direction,
                peer if ingress else subject,
                subject if ingress else peer,
                name,
                None if port < 0 else port,
            )
            gate = judge(entries, flow, self._direction, self._config)
            result.verdict[index] = VERDICTS.index(gate.verdict)
            result.redirect[index] = gate.redirect
            deciding = [
                number
                for ref, number in numbers.items()
                if any(rule.policy == ref.policy and _within(rule.path, ref.path) for rule in gate.rules)
            ]
            result.entry[index] = min(deciding, default=-1)


def _set_bits(row: Words) -> list[int]:
    bits = np.unpackbits(row.view(np.uint8), bitorder="little")
    return [int(bit) for bit in np.flatnonzero(bits)]


def _within(path: str, entry_path: str) -> bool:
    return path == entry_path or path.startswith(f"{entry_path}.")
