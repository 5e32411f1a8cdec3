"""
Text that came out of flows, made safe for terminals and logs.

A pod may carry any DNS name and any HTTP route it likes, so names can hold escape sequences, line
breaks and characters that reverse the reading order. They are shown as escapes, never obeyed.
"""

from typing import Any, Final

#: A line of a log or a table cell; longer text is cut, and says so.
MAX_CHARS: Final = 2000


def printable(text: str, limit: int = MAX_CHARS) -> str:
    r"""
    Same text with everything that a terminal would obey spelled out.

    Examples
    --------
    >>> printable("a\x1b[31mb\u202e")
    'a\\x1b[31mb\\u202e'
    """
    if len(text) > limit:
        text = f"{text[:limit]}… ({len(text)} characters)"
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode("ascii")
        for char in text
    )


def printable_values(value: Any) -> Any:
    """Same for every string inside mappings and lists."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(str(key)): printable_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [printable_values(item) for item in value]
    return value
