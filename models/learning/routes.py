"""
HTTP route templates: ``/orders/17`` and its like become one anchored pattern.

A position in the segment trie becomes a class when many literals stand there *and* more are expected;
eight stable sub-resources stay eight literals. Literals are escaped, patterns anchored, and a route that
would need ``.*`` is not a rule about routes: then only the method is kept, and that is said. No class
admits ``..``, an encoded slash or a query, so a template never opens more than the folder it names. The
services and methods of gRPC are an interface and no identifiers: they stay literals, however many.

What is asked below a class is asked of every member only if it was seen under two of them: one tenant that
is deleted says nothing of the others, so there the word stays. An identifier (a number, a hash, a date) names
one thing of many alike and is not asked for twice, so there one sighting is enough.
"""

from __future__ import annotations

import re
from typing import Final, Self

import numpy as np
import pandas as pd

from models.learning.base import Estimator, require
from models.learning.days import DAYS_PER_WEEK
from models.learning.unseen import expected_unseen

#: Literals at one position before it can become a class, and new ones expected a week (section 6.5).
MIN_LITERALS: Final = 6
MIN_EXPECTED: Final = 0.5
#: Literals' worth of doubt about the expectation: it is shrunk towards none.
EXPECTED_WEIGHT: Final = 4.0
#: Templates of one method before the routes are given up.
MAX_TEMPLATES: Final = 20
#: Characters from which a route may have been cut when it was stored: it is hostile rather than long.
MAX_ROUTE_LENGTH: Final = 1023
#: What ingest leaves in place of a secret or a person, and what may stand there: no slash, in no spelling.
REDACTED: Final = "REDACTED"
_REDACTED_SEGMENT: Final = "(?:[^/?%.]|%40)(?:[^/?%]|%(?i:40|3[ad]|2[bc]))*"

#: Classes in the order they are tried: name, and what the template says. All but slugs are identifiers.
_UUID: Final = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_SLUG: Final = "[A-Za-z0-9_~:@=,+-][A-Za-z0-9._~:@=,+-]{0,63}"
_CLASSES: Final = (
    ("integer", "[0-9]+"),
    ("uuid", _UUID),
    ("hex", "[0-9a-fA-F]{8,}"),
    ("date", "[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    ("slug", _SLUG),
)
_FITS: Final = {name: re.compile(pattern) for name, pattern in _CLASSES}
_PRINTABLE: Final = re.compile(r"/[!-~]*")
#: ``/a/../b`` and its encoded forms, which servers read as another path than the proxy.
_CLIMBS: Final = re.compile(r"/(?:\.|%2e){1,2}(?:[/;]|$)", re.IGNORECASE)
_GRPC: Final = re.compile(r"/(?:[A-Za-z_]\w*\.)+[A-Za-z_]\w*/[A-Za-z_]\w*", re.ASCII)
_META: Final = re.compile(r"([\\.+*?()|\[\]{}^$])")

GROUP: Final = ["subject", "direction", "peer_kind", "peer", "protocol", "port", "l7_method"]

_Trie = dict[tuple[str, ...], int]  # remaining segments -> days seen
_Templates = dict[str, list[str]]  # pattern -> routes it came from


class RouteTemplates(Estimator):
    """
    Route patterns per subject, peer, port and method.

    Parameters
    ----------
    max_templates
        Templates of one method beyond which only the method is kept.

    Attributes
    ----------
    templates_ : pandas.DataFrame
        `GROUP` columns, ``pattern`` (anchored RE2), ``routes`` (how many it came from) and ``wide`` (it
        admits other paths too), sorted.
    routes_ : pandas.DataFrame
        `GROUP` columns, ``route`` and its ``pattern``; empty pattern where only the method is kept.
    method_only_ : pandas.DataFrame
        Groups that would need more than ``max_templates``, with the ``templates`` they would need.
    rejected_ : pandas.DataFrame
        `GROUP` columns, ``route``, ``reason``.
    """

    def __init__(self, max_templates: int = MAX_TEMPLATES) -> None:
        self.max_templates = max_templates

    def fit(self, routes: pd.DataFrame, day_count: int) -> Self:
        """
        Find templates.

        Parameters
        ----------
        routes
            EDGE_ROUTES rows of kind HTTP (`models.frames`): `GROUP`, ``l7_route``, ``days``, ``flows``,
            ``l7_denied``. Routes that were only ever refused are no evidence and are rejected.
        day_count
            T: full days of the window.

        Raises
        ------
        BadInputError
            If a column is missing.
        """
        require(routes, (*GROUP, "l7_route", "days", "flows", "l7_denied"), "routes")
        templates: list[tuple[object, ...]] = []
        mapped: list[tuple[object, ...]] = []
        given_up: list[tuple[object, ...]] = []
        rejected: list[tuple[object, ...]] = []
        for key, own in routes.groupby(GROUP, sort=True):
            days, refused = _usable(own)
            rejected += [(*key, route, reason) for route, reason in sorted(refused.items())]
            calls = {route for route in days if key[-1] == "POST" and _GRPC.fullmatch(route)}
            segments = {tuple(route[1:].split("/")): x for route, x in days.items() if route not in calls}
            found = _templates(segments, day_count)
            if len(found) > self.max_templates:
                given_up.append((*key, len(found)))
                mapped += [(*key, route, "") for route in sorted(days)]
                continue
            found |= {_literal(route): [route] for route in sorted(calls)}
            templates += [
                (*key, pattern, len(routes), [pattern] != [*map(_literal, routes)])
                for pattern, routes in sorted(found.items())
            ]
            mapped += sorted(
                (*key, route, pattern) for pattern, members in found.items() for route in members
            )
        self.templates_ = pd.DataFrame(templates, columns=[*GROUP, "pattern", "routes", "wide"])
        self.routes_ = pd.DataFrame(mapped, columns=[*GROUP, "route", "pattern"])
        self.method_only_ = pd.DataFrame(given_up, columns=[*GROUP, "templates"])
        self.rejected_ = pd.DataFrame(rejected, columns=[*GROUP, "route", "reason"])
        return self


def tidy_route(text: str) -> tuple[str, str]:
    """
    Path of a URL or route, without query and fragment, or why it cannot be in a rule.

    Examples
    --------
    >>> tidy_route("/orders/17?token=x#top"), tidy_route("orders")[1]
    (('/orders/17', ''), 'not an absolute path')
    """
    route = re.split(r"[?#]", text, maxsplit=1)[0]
    if not route.startswith("/"):
        return "", "not an absolute path"
    if len(route) > MAX_ROUTE_LENGTH:
        return "", f"longer than {MAX_ROUTE_LENGTH} characters"
    if not _PRINTABLE.fullmatch(route):
        return "", "characters that a request line cannot hold"
    return ("", "a path that leaves its folder") if _CLIMBS.search(route) else (route, "")


def escape_literal(text: str) -> str:
    r"""
    Text as RE2 matches it literally, with no more backslashes than it takes.

    Examples
    --------
    >>> escape_literal("a.b-c")
    'a\\.b-c'
    """
    return _META.sub(r"\\\1", text)


def _literal(route: str) -> str:
    return f"^{escape_literal(route)}$"


def _usable(rows: pd.DataFrame) -> tuple[dict[str, int], dict[str, str]]:
    days: dict[str, int] = {}
    refused: dict[str, str] = {}
    columns = rows[["l7_route", "days", "flows", "l7_denied"]]
    for text, seen, flows, denied in columns.itertuples(index=False):
        route, reason = tidy_route(str(text))
        if not reason and flows <= denied:
            route, reason = "", "only ever refused"
        if reason:
            refused[str(text)] = reason
        else:
            days[route] = max(days.get(route, 0), int(seen))
    return days, refused


def _templates(trie: _Trie, day_count: int) -> _Templates:
    found: _Templates = {}
    for segments, routes in _walk(trie, day_count):
        found.setdefault("^/" + "/".join(_inherited(segments, routes)) + "$", []).extend(routes)
    return found


def _inherited(segments: list[str], routes: list[str]) -> list[str]:
    """A template's segments, with the word itself where all its routes have the same member of a class."""
    columns = zip(*(route[1:].split("/") for route in routes), strict=True)
    return [
        escape_literal(literals[0]) if segment == _SLUG and len(set(literals)) == 1 else segment
        for segment, literals in zip(segments, columns, strict=True)
    ]


def _walk(trie: _Trie, day_count: int) -> list[tuple[list[str], list[str]]]:
    """Patterns of the remaining segments with the routes they came from, position by position."""
    out: list[tuple[list[str], list[str]]] = []
    pending: list[tuple[list[str], list[tuple[tuple[str, ...], int, str]]]] = [
        ([], [(segments, x, "/" + "/".join(segments)) for segments, x in sorted(trie.items())]),
    ]
    while pending:
        head, rows = pending.pop()
        ended = [route for segments, _, route in rows if not segments]
        if ended:
            out.append((head, ended))
        going = [row for row in rows if row[0]]
        for pattern, literals in _position(going, day_count):
            below = [(segments[1:], x, route) for segments, x, route in going if segments[0] in literals]
            pending.append(([*head, pattern], below))
    return out


def _position(
    rows: list[tuple[tuple[str, ...], int, str]],
    day_count: int,
) -> list[tuple[str, frozenset[str]]]:
    """What one position becomes: classes, and literals for what is in none."""
    days: dict[str, int] = {}
    for segments, x, _ in rows:
        days[segments[0]] = max(days.get(segments[0], 0), x)
    secret = frozenset(literal for literal in days if REDACTED in literal)
    left = sorted(days.keys() - secret)
    chosen: list[tuple[str, frozenset[str]]] = [(_REDACTED_SEGMENT, secret)] if secret else []
    for name, pattern in _CLASSES:
        fitting = [literal for literal in left if _FITS[name].fullmatch(literal)]
        if _grows([days[literal] for literal in fitting], day_count):
            chosen.append((pattern, frozenset(fitting)))
            left = [literal for literal in left if literal not in chosen[-1][1]]
    return chosen + [(escape_literal(literal), frozenset({literal})) for literal in left]


def _grows(days: list[int], day_count: int) -> bool:
    if len(days) < MIN_LITERALS:
        return False
    raw = max(expected_unseen(np.array(days, dtype=np.int64), day_count, DAYS_PER_WEEK), 0.0)
    return len(days) * raw / (len(days) + EXPECTED_WEIGHT) > MIN_EXPECTED
