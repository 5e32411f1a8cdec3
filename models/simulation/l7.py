"""
Requests against layer 7 rules: HTTP and server names as Envoy's filter, DNS as the agent's proxy.

Expressions are RE2 and match the whole value, so no expression can hang. ``None`` is "unknown".
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import re2

from models.domain.fqdn import FqdnSelector, canonical_name
from models.domain.policy import HeaderMatch, HttpRule, L7Rules
from models.simulation.context import DnsQuestion, HttpRequest, L7Request

_QUIET: Final = re2.Options()
_QUIET.log_errors = False


@lru_cache(maxsize=4096)
def _compiled(expression: str) -> re2._Regexp | None:
    try:
        return re2.compile(expression, _QUIET)
    except re2.error:
        return None


def _value_matches(expression: str | None, value: str | None) -> bool | None:
    if expression is None:
        return True
    compiled = _compiled(expression)
    if value is None or compiled is None:
        return None
    return bool(compiled.fullmatch(value))


def all_of(answers: list[bool | None]) -> bool | None:
    """
    Three-valued AND.

    Examples
    --------
    >>> all_of([True, None]), all_of([False, None]), all_of([])
    (None, False, True)
    """
    if any(answer is False for answer in answers):
        return False
    return None if any(answer is None for answer in answers) else True


def http_accepts(rule: HttpRule, request: HttpRequest) -> bool | None:
    """Whether one ``http`` element accepts a request."""
    headers = None
    if request.headers is not None:
        headers = {name.lower(): value for name, value in request.headers.items()}
    return all_of(
        [
            _value_matches(rule.method, request.method),
            _value_matches(rule.path, request.path),
            _value_matches(rule.host, request.host),
            *(_header_holds(text, headers) for text in rule.headers),
            *(_header_match_holds(match, headers) for match in rule.header_matches),
        ]
    )


def _header_holds(text: str, headers: Mapping[str, str] | None) -> bool | None:
    if headers is None:
        return None
    name, blank, value = text.partition(" ")
    found = headers.get(name.rstrip(":").lower() if blank else name.lower())
    return found is not None and (not blank or found == value)


def _header_match_holds(match: HeaderMatch, headers: Mapping[str, str] | None) -> bool | None:
    if match.lenient:
        return True
    if headers is None or match.value is None:
        return None
    return headers.get(match.name.lower()) == match.value


def accepts(rules: L7Rules, request: L7Request, *, deep_wildcards: bool) -> bool | None:
    """
    Whether the layer 7 rules of one port element accept a request.

    Returns
    -------
    bool or None
        ``None`` when a needed part of the request was not recorded, when the rules are of a kind
        Portolan does not read, or of another kind than the request.
    """
    if rules.other is not None:
        return None
    if isinstance(request, HttpRequest):
        return _any([http_accepts(rule, request) for rule in rules.http]) if rules.http else None
    if isinstance(request, DnsQuestion):
        if not rules.dns:
            return None
        return any(s.allows_question(request.name, deep_wildcards=deep_wildcards) for s in rules.dns)
    if not rules.server_names:
        return None
    return any(_server_name_matches(pattern, request.server_name) for pattern in rules.server_names)


def _any(answers: list[bool | None]) -> bool | None:
    if any(answers):
        return True
    return None if any(answer is None for answer in answers) else False


def _server_name_matches(pattern: str, name: str) -> bool:
    if "*" not in pattern:
        return canonical_name(pattern) == canonical_name(name)
    return FqdnSelector(pattern=pattern).matches(name, deep_wildcards=True)
