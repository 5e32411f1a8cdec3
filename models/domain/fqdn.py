"""
DNS names and the patterns that select them (``pkg/fqdn/matchpattern``).

Both sides are lower-cased and end in a dot. ``*`` stands for any run of ``[-a-z0-9_]`` and never for
a dot; from 1.19 a leading ``**.`` stands for one or more whole labels. There is nothing else: no
``?``, no classes. Matching runs on RE2, in time linear in the name.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import re2

MAX_NAME_LENGTH: Final = 255  # characters; the schema and the agent both refuse more

_CHARACTER: Final = "[-a-zA-Z0-9_]"
_LABELS: Final = f"({_CHARACTER}+([.]{_CHARACTER}+)*)[.]"  # one or more whole labels
_EVERY_NAME: Final = f"(({_CHARACTER}+[.])+)|([.])"
_QUIET: Final = re2.Options()
_QUIET.log_errors = False


def canonical_name(name: str) -> str:
    """
    Lower case with a trailing dot.

    Examples
    --------
    >>> canonical_name("API.Example.com")
    'api.example.com.'
    """
    lowered = name.strip().lower()
    return lowered if lowered.endswith(".") else lowered + "."


@dataclass(frozen=True, slots=True)
class FqdnSelector:
    """
    ``matchName`` or ``matchPattern``; exactly one is set.

    Parameters
    ----------
    name
        A literal name, or ``None``.
    pattern
        A name with ``*``, or ``None``.
    """

    name: str | None = None
    pattern: str | None = None

    def matches(self, name: str, *, deep_wildcards: bool) -> bool:
        """
        Whether a learned name is selected.

        Parameters
        ----------
        name
            Any case, with or without a trailing dot.
        deep_wildcards
            The release knows ``**.`` (1.19 and later).
        """
        if self.name is not None:
            return canonical_name(self.name) == canonical_name(name)
        expression = _expression(self.pattern or "", deep_wildcards=deep_wildcards)
        return bool(expression.fullmatch(canonical_name(name)))

    def allows_question(self, name: str, *, deep_wildcards: bool) -> bool:
        """Whether the DNS proxy lets this question through: as `matches`, but ``*`` is truly anything."""
        if self.pattern is not None and matches_every_name(self.pattern, deep_wildcards=deep_wildcards):
            return True
        return self.matches(name, deep_wildcards=deep_wildcards)

    def __str__(self) -> str:
        return self.name if self.name is not None else (self.pattern or "")


def matches_every_name(pattern: str, *, deep_wildcards: bool) -> bool:
    """
    Whether a pattern is nothing but a wildcard.

    Examples
    --------
    >>> matches_every_name("**", deep_wildcards=True), matches_every_name("**", deep_wildcards=False)
    (True, False)
    """
    if deep_wildcards:
        return re.fullmatch(r"\*+\.?", pattern.strip()) is not None
    return pattern.strip() == "*"


@lru_cache(maxsize=65536)
def _expression(pattern: str, *, deep_wildcards: bool) -> re2._Regexp:
    return re2.compile(pattern_expression(pattern, deep_wildcards=deep_wildcards), _QUIET)


def pattern_expression(pattern: str, *, deep_wildcards: bool) -> str:
    r"""
    RE2 expression that a canonical name has to match as a whole.

    Examples
    --------
    >>> pattern_expression("*.example.com", deep_wildcards=True)
    '[-a-zA-Z0-9_]*\\.example\\.com\\.'
    """
    if matches_every_name(pattern, deep_wildcards=deep_wildcards):
        return _EVERY_NAME
    text = canonical_name(pattern)
    parts: list[str] = []
    if deep_wildcards and (leading := re.match(r"\*{2,}\.", text)):
        parts.append(_LABELS)
        text = text[leading.end() :]
    pieces = re.split(r"(\*+)", text)
    parts += [f"{_CHARACTER}*" if piece.startswith("*") else re2.escape(piece) for piece in pieces]
    return "".join(parts)
