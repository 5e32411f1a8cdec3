"""
Lists of HTTP methods and paths, where they were asked for and a proxy saw nearly everything.

A list refuses (403) what is not in it, so it is written only where the absence of a request means
something: for a peer whose hours with traffic nearly all have recorded requests. It stands at the gate
of the server; a second one at the client would make the same proxy work twice. A path in a rule is the
request target with its query, which is never stored: each template lets any query pass.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from models.domain.http import HttpTemplate
from models.domain.peer import CidrPeer, EndpointPeer, FqdnPeer, Peer
from models.domain.rule import Port, Widening
from models.learning.days import DAYS_PER_WEEK
from models.learning.routes import GROUP, RouteTemplates, tidy_route
from models.learning.unseen import expected_unseen
from models.synthesis.edges import Edge
from models.synthesis.exchange import Exchange
from models.synthesis.http_seen import HttpSeen, Requests

#: Share of the hours with traffic that must have a recorded request: near total (trap H9).
MIN_INSPECTED: Final = 0.9
#: What may follow a path.
ANY_QUERY: Final = r"(\?.*)?"
#: RFC 9110 methods are tokens; these are the ones in use, and no character of them means anything to RE2.
_METHOD: Final = re.compile(r"[A-Z][A-Z-]{0,30}")
_NAMED: Final = 5  # left-out paths that a reason names

#: Reason codes (`models.synthesis.reasons`) of requests that passed and are in no list.
FAILED, UNWRITABLE = "http_failed", "http_unwritable"


@dataclass(frozen=True, slots=True)
class HttpList:
    """
    The list of one rule.

    Parameters
    ----------
    templates
        Sorted; empty where none can be written.
    reasons, flags, widening
        For the rule.
    """

    templates: tuple[HttpTemplate, ...] = ()
    reasons: tuple[str, ...] = ()
    flags: frozenset[str] = frozenset()
    widening: frozenset[Widening] = frozenset()


NO_LIST: Final = HttpList()


class HttpLists:
    """
    Where lists may be written, and what is in them.

    Parameters
    ----------
    seen
        Requests of the window.
    day_count
        Days of the window.
    rates
        Exchange rates of the posture.
    """

    def __init__(self, seen: HttpSeen, day_count: int, rates: Exchange) -> None:
        self.seen = seen
        self._day_count = day_count
        self._rates = rates

    def inspected(self, direction: str, peer: Peer, ports: tuple[Port, ...], edges: Collection[Edge]) -> bool:
        """Whether a rule may carry a list."""
        if not _at_the_server(direction, peer) or len(ports) > 1 or ports[0].protocol != "TCP":
            return False
        recorded, total = self.seen.hours(edges)
        return recorded > 0 and recorded >= MIN_INSPECTED * total

    def doubt(self, direction: str, peer: Peer, edges: Collection[Edge]) -> str:
        """Why a rule has no list although requests of it were recorded; "" where nothing was to be said."""
        if not (_at_the_server(direction, peer) and self.seen.any(edges)):
            return ""
        recorded, total = self.seen.hours(edges)
        how_much = f"in {recorded} of {total} hours" if recorded else "of some of the pods"
        return (
            f"HTTP requests with {peer.title} were recorded {how_much} only, too little for a list of "
            "paths: any request passes."
        )

    def of(self, edges: Sequence[Edge]) -> HttpList:
        """List for the edges of one rule."""
        found = self.seen.requests(edges)
        kept, left_out = sorted_out(found)
        recorded, total = self.seen.hours(edges)
        scope = (
            f"HTTP requests were recorded in {recorded} of {total} hours with traffic. Only the methods and "
            "paths listed pass (with any query); the proxy answers everything else with 403."
        )
        reasons = [scope]
        templates: list[HttpTemplate] = []
        widening: set[Widening] = set()
        for method, routes in kept.items():
            listed, wide, said = self._method(method, routes)
            templates += listed
            widening |= wide
            reasons += said
        if not templates:
            reasons = ["No recorded HTTP request succeeded, so there is no list: any request passes."]
        reasons += [_left_out(code, texts) for code, texts in sorted(left_out.items())]
        if templates:
            reasons.append(self._forecast(templates))
        flags = {"http", "needs_review"} if templates else set()
        flags |= {"generalised"} if widening else set()
        flags |= {"http_incomplete"} if UNWRITABLE in left_out and templates else set()
        return HttpList(tuple(sorted(templates)), tuple(reasons), frozenset(flags), frozenset(widening))

    def _method(
        self, method: str, routes: Mapping[str, Requests]
    ) -> tuple[list[HttpTemplate], set[Widening], list[str]]:
        """Templates of one method, what they open, and what is to be said of them."""
        rows = [
            ("", "", "", "", "TCP", 0, method, route, len(seen.days), seen.flows, 0)
            for route, seen in routes.items()
        ]
        columns = [*GROUP, "l7_route", "days", "flows", "l7_denied"]
        fitted = RouteTemplates().fit(pd.DataFrame(rows, columns=columns), self._day_count)
        if len(fitted.method_only_):
            needed = int(fitted.method_only_["templates"].iloc[0])
            any_path = _template(method, "", [*routes.values()])
            return (
                [any_path],
                {Widening("route", any_path.text, len(routes), openings=self._rates.alpha)},
                [f"{method} would need {needed} paths: only the method is checked."],
            )
        listed, wide = [], set()
        wider = set(fitted.templates_.loc[fitted.templates_["wide"].astype(bool), "pattern"])
        for pattern, mine in fitted.routes_.groupby("pattern", sort=True)["route"]:
            seen = [routes[route] for route in mine]
            template = _template(method, f"{str(pattern)[:-1]}{ANY_QUERY}$", seen)
            listed.append(template)
            if pattern in wider:
                days = np.array([len(one.days) for one in seen], dtype=np.int64)
                ahead = max(expected_unseen(days, self._day_count, DAYS_PER_WEEK), 0.0)
                denials = round(self._rates.mu_inside * ahead, 3)
                opened = self._rates.alpha
                wide.add(Widening("route", template.text, len(seen), openings=opened, denials=denials))
        return listed, wide, []

    def _forecast(self, templates: Sequence[HttpTemplate]) -> str:
        days = np.array([one.days_seen for one in templates], dtype=np.int64)
        ahead = max(expected_unseen(days, self._day_count, DAYS_PER_WEEK), 0.0)
        return (
            f"About {ahead:.1f} more kinds of request are expected within {DAYS_PER_WEEK} days by the rate "
            "of new ones so far; the list would refuse them."
        )


def sorted_out(
    found: Mapping[tuple[str, str], Requests],
) -> tuple[dict[str, dict[str, Requests]], dict[str, list[str]]]:
    """Requests that a list is made of, by method and path, and the others by reason code."""
    kept: dict[str, dict[str, Requests]] = {}
    left_out: dict[str, list[str]] = {}
    reasons = left_out_reasons(found)
    for (method, route), seen in found.items():
        if reason := reasons[method, route]:
            left_out.setdefault(reason, []).append(f"{method} {route}")
        else:
            kept.setdefault(method, {})[route] = seen
    return kept, left_out


def left_out_reasons(found: Mapping[tuple[str, str], Requests]) -> dict[tuple[str, str], str]:
    """
    Reason code of each request that is no part of a list; "" for those that are.

    What only ever failed or was refused is no evidence, where responses were recorded at all.
    """
    visible = any(seen.answered for seen in found.values())
    return {
        (method, route): FAILED
        if not seen.flows or (visible and seen.answered <= seen.failed)
        else ("" if _METHOD.fullmatch(method) and not tidy_route(route)[1] else UNWRITABLE)
        for (method, route), seen in found.items()
    }


def _at_the_server(direction: str, peer: Peer) -> bool:
    """Whether the gate is that of the server, or the only one there is because the server is outside."""
    if direction == "ingress":
        return isinstance(peer, EndpointPeer)
    return isinstance(peer, FqdnPeer | CidrPeer)


def _template(method: str, path: str, seen: Sequence[Requests]) -> HttpTemplate:
    days = {day for one in seen for day in one.days}
    return HttpTemplate(method, path, len(seen), len(days), sum(one.flows for one in seen))


def _left_out(code: str, texts: Sequence[str]) -> str:
    """Sentence about requests that are in no list."""
    told = ", ".join(text[:80] for text in texts[:_NAMED])
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    number = f"{len(texts)} kind{'' if len(texts) == 1 else 's'} of request"
    if code == FAILED:
        return f"Left out: {number} that only ever failed or were refused ({told}{more})."
    return f"Left out: {number} that pass today and that no rule can hold ({told}{more})."
