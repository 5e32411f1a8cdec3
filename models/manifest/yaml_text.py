"""
YAML that every reader understands the same way: stable bytes, and quotes where a reader could err.

A flow is hostile input and a label value may look like anything. A plain scalar is written only where
YAML 1.1 and 1.2 agree that it is a string; everything else is quoted. Order is the caller's.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

#: Letters, digits and inner punctuation; a leading letter, or a slash or bracket of no meaning.
_PLAIN: Final = re.compile(r"[A-Za-z/][-A-Za-z0-9_./ (),+]*(:[A-Za-z0-9][-A-Za-z0-9_./]*)?")
#: Words that one of the two YAML versions reads as something else than text, in any case.
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})
_SECTION: Final = re.compile(r"  (?P<name>[A-Za-z]+):\n")
_ELEMENT: Final = "    - "
_MEMBER: Final = "  - "  # of a list of objects, which stand further in
_DEEPER: Final = "    "
_WIDTH: Final = 10_000  # never fold: a folded line differs between library versions


class _Dumper(yaml.SafeDumper):
    """Safe dumper that indents lists, quotes by our rule and never writes an anchor."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Indent lists below their key."""
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Write every value where it stands."""
        return True


def is_plain(text: str) -> bool:
    """
    Whether a text may stand without quotes.

    Examples
    --------
    >>> [is_plain(text) for text in ("web", "k8s:app", "on", "1e3", "0x10", "*", "a: b", "10.0.0.0/8")]
    [True, True, False, False, False, False, False, False]
    """
    if not _PLAIN.fullmatch(text) or text.endswith(" ") or text.lower() in _WORDS:
        return False
    return not re.fullmatch(r"[0-9a-fA-F]+", text) or not any(character.isdigit() for character in text)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if is_plain(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _comment(line: str, indent: str = "") -> str:
    """One comment line; whatever could end it early becomes a blank."""
    return f"{indent}# {re.sub(r'[^ -~]', ' ', line)}".rstrip() + "\n"


def _with_remarks(body: str, remarks: Sequence[Mapping[str, Sequence[str]]]) -> str:
    """Comments above the elements of the lists of ``spec``, in their order."""
    deeper = _DEEPER if len(remarks) > 1 else ""
    objects = iter(remarks)
    mine: Mapping[str, Sequence[str]] = {} if deeper else next(objects)
    lines: list[str] = []
    left: Iterator[str] = iter(())
    for line in body.splitlines(keepends=True):
        if deeper and line.startswith(_MEMBER):
            mine = next(objects)
        inside = line.removeprefix(deeper)
        if section := _SECTION.match(inside):
            left = iter(mine.get(section["name"], ()))
        if inside.startswith(_ELEMENT) and (remark := next(left, None)) is not None:
            lines.append(_comment(remark, deeper + " " * (len(_ELEMENT) - 2)))
        lines.append(line)
    return "".join(lines)


def to_yaml(
    document: Mapping[str, Any],
    comments: Sequence[str] = (),
    remarks: Sequence[Mapping[str, Sequence[str]]] = (),
) -> str:
    """
    One document as text, byte for byte the same for the same input.

    Parameters
    ----------
    document
        Mappings, lists, strings, integers and booleans; keys keep their order.
    comments
        Lines to put on top, without ``#``; control characters in them become blanks.
    remarks
        For a list directly below ``spec``, one comment per element; of a list of objects, for each of them.
    """
    body = yaml.dump(
        dict(document),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=False,
        width=_WIDTH,
        default_flow_style=False,
    )
    return "".join(map(_comment, comments)) + (_with_remarks(body, remarks) if remarks else body)
