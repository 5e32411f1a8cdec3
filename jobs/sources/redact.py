"""
What is taken out of a URL before anything is stored.

A route is the path alone: no scheme, no host, no user, no query, no fragment. Segments that look
like a secret or a person (tokens, keys, long digests, mail addresses, the literal that Hubble's own
redaction leaves) become ``REDACTED``. HTTP headers are never read at all.
"""

from typing import Final

REDACTED: Final = "REDACTED"
MAX_ROUTE: Final = 1024  # characters kept of a route

#: Segments that are taken out, as RE2 patterns over ``/segment``.
SECRET_SEGMENTS: Final = (
    r"/eyJ[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*",  # JSON web tokens
    r"/[^/]*(?:@|%40)[^/]*",  # mail addresses, user:password@
    r"/(?:gh[pousr]_|sk[-_]|xox[a-z]-|AKIA|ASIA|glpat-|hvs\.)[^/]+",  # keys that name themselves
    r"/[0-9a-fA-F]{32,}",  # digests and raw keys
    r"/[0-9]{12,}",  # card, account and telephone numbers
    r"/[A-Za-z0-9_=+.%~-]{40,}",  # long opaque strings
    r"/[^/]*HUBBLE_REDACTED[^/]*",
    r"/(?i:token|secret|password|apikey|api_key|access_token|session|signature)(?:=|:)[^/]*",
)
#: Segments whose *next* segment is the secret.
NEXT_SEGMENT: Final = (
    r"(/(?i:token|tokens|secret|password|passwd|apikey|api-key|session|reset|verify|invite)/)[^/]{16,}"
)


def route(url: str) -> str:
    """SQL for the path of the URL in column ``url``, redacted; NULL stays NULL."""
    path = rf"regexp_replace({url}, '^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*', '')"
    path = rf"regexp_replace({path}, '[?#].*$', '', 's')"
    path = f"substr(coalesce(nullif({path}, ''), '/'), 1, {MAX_ROUTE})"
    clean = rf"regexp_replace({path}, '{NEXT_SEGMENT}', '\1{REDACTED}', 'g')"
    for pattern in SECRET_SEGMENTS:
        clean = f"regexp_replace({clean}, '{pattern}', '/{REDACTED}', 'g')"
    # Most paths hold nothing of the kind: one look at them all costs less than a dozen replacements.
    suspicious = "|".join((NEXT_SEGMENT, *SECRET_SEGMENTS))
    return f"CASE WHEN regexp_matches({path}, '{suspicious}') THEN {clean} ELSE {path} END"
