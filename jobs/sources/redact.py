"""
What is taken out of a URL before anything is stored.

A route is the path alone: no scheme, no host, no user, no query, no fragment. Segments that look
like a secret or a person (tokens, keys, long digests, mail addresses, the literal that Hubble's own
redaction leaves) become ``REDACTED``. HTTP headers are never read at all.

A long segment is a secret unless all of it is words, as the services of gRPC are: the one digit too many, the
one piece that nobody could pronounce, and it is taken out. A pass phrase of ordinary words cannot be told
from them.
"""

from string import ascii_uppercase
from typing import Final

REDACTED: Final = "REDACTED"
MAX_ROUTE: Final = 1024  # characters kept of a route

#: Segments that are taken out, as RE2 patterns over ``/segment``: to their end, or half of a key would stay.
SECRET_SEGMENTS: Final = (
    r"/eyJ[A-Za-z0-9_-][^/]*",  # JSON web tokens
    r"/[^/]*(?:@|%40)[^/]*",  # mail addresses, user:password@
    r"/(?:gh[pousr]_|sk[-_]|xox[a-z]-|AKIA|ASIA|glpat-|hvs\.)[^/]+",  # keys that name themselves
    r"/[0-9a-fA-F]{32,}[^/]*",  # digests and raw keys
    r"/[0-9]{12,}[^/]*",  # card, account and telephone numbers
    r"/[^/]*HUBBLE_REDACTED[^/]*",
    r"/(?i:token|secret|password|apikey|api_key|access_token|session|signature)(?:=|:)[^/]*",
)
#: Segments whose *next* segment is the secret.
NEXT_SEGMENT: Final = (
    r"(/(?i:token|tokens|secret|password|passwd|apikey|api-key|session|reset|verify|invite)/)[^/]{16,}"
)
#: Beginning of a segment that is taken out unless the segment is words.
OPAQUE_LENGTH: Final = 40
OPAQUE: Final = f"[A-Za-z0-9_=+.%~-]{{{OPAQUE_LENGTH}}}"

# Words can be pronounced: between vowels stand no more than four consonants. Of what cannot, only what is
# short or known is spared, and of digits only what a version of an interface has.
_SYLLABLES: Final = "[bcdfghjklmnpqrstvwxz]{0,4}(?:[aeiouy]{1,4}[bcdfghjklmnpqrstvwxz]{0,4}){1,8}"
_LOWER: Final = f"{_SYLLABLES}|[a-z]{{1,3}}|https?|grpc|html|crud|smtp|k8s|s3|ec2|oauth2|ipv[46]|http2|x509"
_VERSION: Final = "v[0-9]{1,2}(?:p[0-9])?(?:(?:alpha|beta|rc)[0-9]{0,2})?"
_CAMEL: Final = (
    f"[A-Z]{{1,5}}{_SYLLABLES}|[A-Z]{{0,4}}[AEIOUY][bcdfghjklmnpqrstvwxz]{{1,4}}|Https?|Grpc|Rpc|Dns"
)
_PIECE: Final = f"(?:{_LOWER}|{_VERSION}|(?:{_LOWER})?(?:{_CAMEL})+(?:[A-Z]{{2,5}}|V[0-9]{{1,2}})?)"
WORDS: Final = f"{_PIECE}(?:[._-]{_PIECE})*"
# Letters in a row that some word has, and that none has: groups of random letters are shorter, or longer.
_LONG_WORD: Final = "[a-z]{6}"
_NO_WORD: Final = (
    "[a-z]{21}"
    "|[a-z][jqv][bcdfghjkmnpqtvwxz]"  # letters that no word has together
)
_LETTERS_PER_CAPITAL: Final = 4


def route(url: str) -> str:
    """SQL for the path of the URL in column ``url``, redacted; NULL stays NULL."""
    path = rf"regexp_replace({url}, '^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*', '')"
    path = rf"regexp_replace({path}, '[?#].*$', '', 's')"
    path = f"substr(coalesce(nullif({path}, ''), '/'), 1, {MAX_ROUTE})"
    clean = rf"regexp_replace({path}, '{NEXT_SEGMENT}', '\1{REDACTED}', 'g')"
    for pattern in SECRET_SEGMENTS:
        clean = f"regexp_replace({clean}, '{pattern}', '/{REDACTED}', 'g')"
    # Most paths hold nothing of the kind: one look at them all costs less than a dozen replacements.
    known = "|".join((NEXT_SEGMENT, *SECRET_SEGMENTS))
    return (
        f"CASE WHEN regexp_matches({path}, '{known}') THEN {_without_opaque(clean)} "
        f"WHEN regexp_matches({path}, '/{OPAQUE}') THEN {_without_opaque(path)} ELSE {path} END"
    )


def _without_opaque(path: str) -> str:
    """SQL for a path without its long segments that are not words."""
    return (
        f"array_to_string(list_transform(string_split({path}, '/'), lambda part: "
        f"CASE WHEN length(part) < {OPAQUE_LENGTH} OR {_is_words('part')} THEN part "
        f"ELSE regexp_replace(part, '^{OPAQUE}.*', '{REDACTED}', 's') END), '/')"
    )


def _is_words(text: str) -> str:
    """SQL for whether a text is words, with capitals at their beginnings at most."""
    capitals = f"(length({text}) - length(translate({text}, '{ascii_uppercase}', '')))"
    return (
        f"regexp_full_match({text}, '{WORDS}') AND regexp_matches({text}, '{_LONG_WORD}') "
        f"AND NOT regexp_matches({text}, '{_NO_WORD}') "
        f"AND {capitals} * {_LETTERS_PER_CAPITAL} <= length({text})"
    )
