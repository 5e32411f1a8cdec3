"""Files of any origin: a clear error or an answer, in bounded time and memory."""

import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.policy_files import MAX_BYTES, MAX_DEPTH, parse_documents, read_case_lines, read_objects
from models.errors import BadInputError

LIMIT_SECONDS = 20  # generous: the suite may share its cores
LIMIT_BYTES = 300 << 20


def refused(text: str) -> str:
    """Read a hostile text and return the error, measuring time and memory."""
    tracemalloc.start()
    start = time.monotonic()
    try:
        with pytest.raises(BadInputError) as caught:
            parse_documents(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.monotonic() - start < LIMIT_SECONDS
    assert peak < LIMIT_BYTES
    return str(caught.value)


def test_an_alias_bomb_is_refused() -> None:
    """Nine levels of nine aliases would unfold to a billion values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    assert "aliases are unfolded" in refused("\n".join(lines))


def test_an_alias_of_itself_is_refused() -> None:
    """A document that contains itself has no end."""
    assert "alias of nothing, or of itself" in refused("a: &a [*a]")


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 50_000, "- " * 20_000])
def test_deep_nesting_is_refused(text: str) -> None:
    """Depth is limited before anything is built."""
    assert "nests deeper" in refused(text) or "is no YAML" in refused(text)


def test_a_policy_deep_enough_for_any_manifest_is_read() -> None:
    """The limit is far above what a policy needs."""
    text = "".join("  " * depth + "a:\n" for depth in range(MAX_DEPTH - 2))
    assert parse_documents(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\na: 2\n", "written twice"),
        ("a: [1\n", "line 2"),
        ("a: !!python/object/apply:os.system ['true']\n", "could not determine a constructor"),
        ("\tx: 1", "line 1"),
        ("a: 2024-99-99\n", "is no YAML"),
        ("%YAML 9.9\n--- a", "line"),
    ],
)
def test_malformed_text_is_an_error_with_its_place(text: str, says: str) -> None:
    """Never a traceback, never the last of two keys."""
    assert says in refused(text)


def test_a_merged_anchor_is_fine() -> None:
    """Ordinary anchors are legal YAML."""
    assert parse_documents("a: &x {b: 1}\nc: {<<: *x, d: 2}") == [{"a": {"b": 1}, "c": {"b": 1, "d": 2}}]


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    """The size alone decides."""
    path = tmp_path / "big.yaml"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(BadInputError, match=r"big\.yaml: .* bytes are more than"):
        read_objects([path])


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """The byte is named."""
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"a: \xe9\n")
    with pytest.raises(BadInputError, match="is no UTF-8 text"):
        read_objects([path])


def test_folders_are_read_sorted_and_other_files_left_alone(tmp_path: Path) -> None:
    """Two documents of one file, JSON beside YAML, notes ignored."""
    (tmp_path / "b.json").write_text('{"kind": "B"}')
    (tmp_path / "a.yaml").write_text("kind: A1\n---\nkind: A2\n---\n")
    (tmp_path / "notes.txt").write_text("kind: [")
    assert [item["kind"] for item in read_objects([tmp_path])] == ["A1", "A2", "B"]


def test_a_missing_path_and_a_scalar_document_are_named(tmp_path: Path) -> None:
    """The path stands in the error."""
    with pytest.raises(BadInputError, match=r"gone\.yaml"):
        read_objects([tmp_path / "gone.yaml"])
    (tmp_path / "s.yaml").write_text("just text")
    with pytest.raises(BadInputError, match="document 1 is no Kubernetes object"):
        read_objects([tmp_path / "s.yaml"])


def test_a_case_line_that_is_no_json_is_named(tmp_path: Path) -> None:
    """The number of the line is in the error."""
    path = tmp_path / "cases.jsonl"
    path.write_text('{"id": "a"}\n\n{"id": \n')
    with pytest.raises(BadInputError, match="line 3 is no JSON"):
        list(read_case_lines(path))


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No other exception ever leaves the reader."""
    try:
        parse_documents(text)
    except BadInputError:
        return
