"""Words that look drawn and depend on a number or a text alone, as Kubernetes puts them into names."""

import hashlib
from typing import Final

#: Letters of the suffixes that Kubernetes draws.
_SAFE: Final = "bcdfghjklmnpqrstvwxz2456789"


def word(number: int, length: int) -> str:
    """Suffix by a number."""
    state = (number * 2_654_435_761 + 40_503) % 2**32
    letters = []
    for _ in range(length):
        state = (state * 1_103_515_245 + 12_345) % 2**31
        letters.append(_SAFE[state // 65_536 % len(_SAFE)])
    return "".join(letters)


def digest(text: str, length: int) -> str:
    """Hexadecimal digits by a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def word_of(text: str, length: int) -> str:
    """Suffix by a text."""
    return word(int(digest(text, 8), 16), length)
