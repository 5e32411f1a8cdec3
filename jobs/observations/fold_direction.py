"""
Which way an edge really went, with all that the window knows of it.

Two things may be wrong with a row. Its records did not say whether they were replies (``unknown``), or
they said "request" of what was a reply (Cilium issues 13744, 35535, 46484, 47913). Both show as an
edge towards a client's own port. No port number is ever taken as proof: what counts is that the
*other* end's port is a known server port, by the mirrored edge or by the calls of others, or that it
faces ports as only a server's does, and that nothing else speaks for this one. All evidence is collected
before anything is decided, so order plays no part.

An *arc* is the edge client -> server:port, whichever subjects saw it. The *fan* of a source port is the
ports of one server that it alone was seen to face.
"""

from typing import Final

import pandas as pd

from jobs.observations.clock import US_PER_HOUR, US_PER_SECOND

_WITH_PORTS: Final = ("TCP", "UDP", "SCTP")
_ARC: Final = ["client", "server", "protocol", "port", "oriented"]
_SERVER: Final = ["server", "protocol", "port"]
_WAY: Final = ["client", "server", "protocol", "port"]
_QUESTION: Final = ["client", "protocol", "port"]
_SOURCE_PORT: Final = ["client", "server", "protocol", "low"]

#: Ports of one server that one source port faces. Clients that bind a port call a service on a few ports;
#: a server that answers meets a new port with nearly every connection.
_MANY_PORTS: Final = 16
#: Flows per port of answers, where the fan is smaller: one socket's A and AAAA, each seen twice (trace and
#: layer 7). What a relay sends from its own port to a single port of the next is soon more.
_FEW_FLOWS: Final = 4
#: Of a connection whose port does not come back. Real ports of a range (RTP, passive FTP) are used again.
_BRIEF_US: Final = 60 * US_PER_SECOND
_MOST: Final = 0.5  # of a fan's ports; the others came back by chance, or their answers were lost
#: RFC 959, 3.2: the one port from which servers open connections, to a new port of the client each time.
_FTP_DATA: Final = 20

#: What a row's requests turned out to be; the names under which they are counted as set aside.
MISREPORTED: Final = "misreported_reply"  # is_reply said false
UNMARKED: Final = "unmarked_reply"  # is_reply said nothing
AMBIGUOUS: Final = "ambiguous_direction"
#: Replies said to be requests, and requests said to be replies; the first are counted as misreported.
SWAPPED: Final = "swapped"


def arcs_of(links: pd.DataFrame) -> pd.DataFrame:
    """Links with the two ends of their arc: ``client`` and ``server``."""
    subject = "endpoint|" + links["subject"]
    peer = links["peer_kind"] + "|" + links["peer"]
    egress = links["direction"] == "egress"
    return links.assign(client=subject.where(egress, peer), server=peer.where(egress, subject))


def resolve_directions(links: pd.DataFrame, led: pd.DataFrame) -> pd.DataFrame:
    """
    Links with ``outcome`` and ``own_port``.

    ``outcome`` is "" for a request as seen, MISREPORTED or UNMARKED for what was a reply (to the edge
    back to ``own_port``, the port it came from), SWAPPED where its answers were the requests of that
    edge too, AMBIGUOUS for what nothing decides. ``links`` has one row per edge and orientation with
    flows, connections, answered, resets, client ports, and times. ``led`` has the questions to services
    as ways to the pods behind them (``client server protocol port``), ``server`` "" where none is known.
    """
    links = arcs_of(links)
    arcs = links.groupby(_ARC, as_index=False, sort=True).agg(
        flows=("flows", "max"),
        connections=("connections", "max"),
        answered=("answered", "max"),
        reset=("reset", "max"),
        low=("client_port_min", "min"),
        high=("client_port_max", "max"),
        first_us=("first_us", "min"),
        last_us=("last_us", "max"),
    )
    arcs["outcome"] = ""
    known = arcs["oriented"] == "known"
    arcs.loc[known, "outcome"] = _misreported(arcs[known], led)
    ported = arcs["protocol"].isin(_WITH_PORTS)
    doubtful = arcs[~known & ported]
    if len(doubtful):
        arcs.loc[doubtful.index, "outcome"] = _unknown(arcs[known & (arcs["outcome"] == "")], doubtful)
    arcs["own_port"] = arcs["low"].fillna(-1).astype("int32")
    return links.merge(arcs[[*_ARC, "outcome", "own_port"]], on=_ARC, how="left")


def _has(table: pd.DataFrame, rows: pd.DataFrame, columns: list[str]) -> pd.Series:
    """Whether ``table`` has each of ``rows``, compared in ``columns``."""
    known = pd.MultiIndex.from_frame(table[columns])
    return pd.Series(pd.MultiIndex.from_frame(rows[columns]).isin(known), index=rows.index)


def _mirrored(rows: pd.DataFrame) -> pd.DataFrame:
    """The arcs that rows would answer if they were replies: ends swapped, port the one they came from."""
    return pd.DataFrame(
        {
            "client": rows["server"],
            "server": rows["client"],
            "protocol": rows["protocol"],
            "port": rows["low"].fillna(-1).astype("int32"),
        },
        index=rows.index,
    )


def _single(rows: pd.DataFrame) -> pd.Series:
    """Whether all packets of a row left from one port (which client ports of many connections do not)."""
    return rows["low"].notna() & (rows["low"] == rows["high"])


def _misreported(known: pd.DataFrame, led: pd.DataFrame) -> pd.Series:
    """Find replies among requests: one source port, which is a server's, and nothing else speaks for it."""
    seen = known[(known["flows"] > 0) | (known["answered"] > 0)]
    mirrors = _mirrored(known)
    # A TCP connection opens with a SYN; where one was seen the row is what it says.
    may_be = known["protocol"].ne("TCP") | known["connections"].eq(0)
    shaped = (
        known["protocol"].isin(_WITH_PORTS)
        & (known["flows"] > 0)
        & may_be
        & _single(known)
        & (known["low"] != known["port"])  # the same port at both ends is gossip, and goes both ways
    )
    quiet = known[shaped & (known["answered"] == 0)]
    asked = _has(pd.concat([seen[_WAY], led]), mirrors.loc[quiet.index], _WAY)
    rest = quiet[~asked]
    spread = _answers_many(rest) & _established(seen, mirrors.loc[rest.index], led)
    suspect = _over(known, asked | _over(quiet, spread))
    swapped = _over(known, _fans_out(known[shaped]))
    sound = seen[~(suspect | swapped).reindex(seen.index)]
    doubted = known[suspect | swapped]
    doubted = doubted[~_has(sound, doubted, _SERVER)]
    suspect, swapped = (found & found.index.isin(doubted.index) for found in (suspect, swapped))
    # Two suspects that answer each other: of one conversation, the one that came first is the request.
    back = mirrors.merge(
        known.assign(place=known.index)[[*_WAY, "place", "low", "first_us", "last_us"]], on=_WAY, how="left"
    ).set_index(known.index)
    mutual = suspect & back["place"].isin(known.index[suspect]) & (back["low"] == known["port"])
    brief = ((known["last_us"] - known["first_us"]) < US_PER_HOUR) & (
        (back["last_us"] - back["first_us"]) < US_PER_HOUR
    )
    undecided = mutual & ~(brief & (known["first_us"] > back["first_us"]))
    outcome = pd.Series("", index=known.index)
    outcome[swapped & (known["answered"] > 0)] = SWAPPED
    outcome[(suspect & ~undecided) | (swapped & (known["answered"] == 0))] = MISREPORTED
    return outcome


def _over(rows: pd.DataFrame, found: pd.Series) -> pd.Series:
    """What was found of some of the rows, said of all of them."""
    return found.reindex(rows.index, fill_value=False)


def _established(seen: pd.DataFrame, mirrors: pd.DataFrame, led: pd.DataFrame) -> pd.Series:
    """
    Whether the port that a row came from is served: to anybody, or to the other end by a service.

    Calls that came from one port and brought nothing prove no service: they may be such rows themselves.
    """
    served = seen[~_single(seen) | (seen["answered"] > 0)]
    nameless = led[led["server"] == ""]
    return _has(served, mirrors, _SERVER) | _has(nameless, mirrors, _QUESTION)


def _answers_many(rows: pd.DataFrame) -> pd.Series:
    """Whether rows from a served port are spread over ports as answers are, not passed on to one."""
    fans = rows.groupby(_SOURCE_PORT)["flows"]
    ports = fans.transform("size")
    return (ports >= _MANY_PORTS) | (fans.transform("sum") <= _FEW_FLOWS * ports)


def _fans_out(rows: pd.DataFrame) -> pd.Series:
    """
    Whether a source port faces ports as only a server's does, though the answers were said to be its own.

    Most are answered and none comes back. A refusal (RST) shows that nobody listened: such is a scan.
    """
    rows = rows[rows["protocol"].ne("TCP") | rows["low"].ne(_FTP_DATA)]
    rows = rows.assign(answered=rows["answered"] > 0, brief=(rows["last_us"] - rows["first_us"]) < _BRIEF_US)
    fans = rows.groupby(_SOURCE_PORT)
    return (
        (fans["port"].transform("size") >= _MANY_PORTS)
        & (fans["answered"].transform("mean") > _MOST)
        & (fans["brief"].transform("mean") > _MOST)
        & (fans["reset"].transform("max") == 0)
    )


def _unknown(known: pd.DataFrame, doubtful: pd.DataFrame) -> pd.Series:
    """Decide rows without ``is_reply``: by known edges, then by client ports that vary, then by both."""
    single = _single(doubtful)
    varied = doubtful["low"].notna() & ~single
    mirrors = _mirrored(doubtful)
    direct = _has(known, doubtful, _WAY)
    mirror = single & _has(known, mirrors, _WAY)
    served = _has(known, doubtful, _SERVER)
    gossip = doubtful["low"] == doubtful["port"]
    forward = (direct & (~mirror | gossip)) | (
        ~direct & ~mirror & (served | _spreads(known, doubtful, varied))
    )
    reply = mirror & ~direct
    # What was decided so far decides the rest: masked streams hold no other evidence than themselves.
    decided = pd.concat([known, doubtful[forward]])
    rest = ~forward & ~reply & ~(direct & mirror)
    late_mirror = rest & single & _has(decided, mirrors, _WAY)
    late_served = rest & _has(decided, doubtful, _SERVER)
    reply |= late_mirror & ~late_served
    forward |= late_served & ~late_mirror
    outcome = pd.Series(AMBIGUOUS, index=doubtful.index)
    outcome[reply] = UNMARKED
    outcome[forward] = ""
    return outcome


def _spreads(known: pd.DataFrame, doubtful: pd.DataFrame, varied: pd.Series) -> pd.Series:
    """
    Whether client ports vary as a server's clients' do.

    Replies of two servers to one client port vary too, by chance; those have, for each of their
    source ports, an edge back that carries more.
    """
    carried = pd.concat([known, doubtful[varied]]).groupby(_WAY)["flows"].max()

    def back(column: str) -> pd.Series:
        ways = _mirrored(doubtful.assign(low=doubtful[column]))
        return pd.Series(
            carried.reindex(pd.MultiIndex.from_frame(ways)).to_numpy(), index=doubtful.index
        ).fillna(0)

    answers_two = (back("low") > doubtful["flows"]) & (back("high") > doubtful["flows"])
    return varied & ~answers_two
