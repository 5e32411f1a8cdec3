"""Exports into folders that other people use too."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import BadInputError, ConflictError
from service.export.files import INDEX, file_name, write_export
from service.export.manifests import Rendered


def objects(**texts):
    """Objects by name, all in one namespace."""
    return [Rendered(f"shop/{name}.cilium.yaml", {}, text) for name, text in texts.items()]


def listing(folder):
    """Relative paths of all files."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_an_export_is_what_is_in_the_folder_afterwards(tmp_path):
    """Written, unchanged, replaced, removed; the index last."""
    out = tmp_path / "deep" / "out"
    assert write_export(out, objects(a="1", b="2")).written == ("shop/a.cilium.yaml", "shop/b.cilium.yaml")
    report = write_export(out, objects(b="2", c="3"))
    assert (report.written, report.unchanged, report.removed) == (
        ("shop/c.cilium.yaml",),
        ("shop/b.cilium.yaml",),
        ("shop/a.cilium.yaml",),
    )
    assert listing(out) == [INDEX, "shop/b.cilium.yaml", "shop/c.cilium.yaml"]
    write_export(out, [])
    assert listing(out) == [INDEX]
    assert not (out / "shop").exists()


def test_the_same_objects_in_any_order_give_the_same_bytes(tmp_path):
    """Nothing in the folder tells when or in which order it was written."""
    one, other = objects(a="1", b="2"), objects(b="2", a="1")
    write_export(tmp_path / "x", one)
    write_export(tmp_path / "y", other)
    contents = [
        [(path, (folder / path).read_bytes()) for path in listing(folder)]
        for folder in (tmp_path / "x", tmp_path / "y")
    ]
    assert contents[0] == contents[1]


def test_files_of_others_are_neither_replaced_nor_removed(tmp_path):
    """Not even when they have the name of one of ours."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "a.cilium.yaml").write_text("mine", encoding="utf-8")
    (tmp_path / "shop" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ConflictError, match=r"a\.cilium\.yaml"):
        write_export(tmp_path, objects(a="1", b="2"))
    assert listing(tmp_path) == ["shop/a.cilium.yaml", "shop/notes.txt"]
    write_export(tmp_path, objects(a="1"), overwrite=True)
    write_export(tmp_path, [])
    assert listing(tmp_path) == [INDEX, "shop/notes.txt"]


def test_an_edited_file_that_is_exported_no_more_is_left_alone(tmp_path):
    """Somebody's work is not thrown away with our own."""
    write_export(tmp_path, objects(a="1"))
    (tmp_path / "shop" / "a.cilium.yaml").write_text("edited", encoding="utf-8")
    assert write_export(tmp_path, []).left == ("shop/a.cilium.yaml",)
    assert (tmp_path / "shop" / "a.cilium.yaml").exists()


def test_nothing_is_written_through_links(tmp_path):
    """A link in the folder does not lead the export elsewhere."""
    outside, out = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    out.mkdir()
    (out / "shop").symlink_to(outside)
    with pytest.raises(BadInputError, match="leads out"):
        write_export(out, objects(a="1"))
    assert listing(outside) == []
    (out / "shop").unlink()
    (out / "shop").mkdir()
    (out / "shop" / "a.cilium.yaml").symlink_to(tmp_path / "target")
    (tmp_path / "target").write_text("x", encoding="utf-8")
    with pytest.raises(ConflictError):
        write_export(out, objects(a="1"))
    write_export(out, objects(a="1"), overwrite=True)
    assert (tmp_path / "target").read_text(encoding="utf-8") == "x"


def test_a_forged_index_cannot_name_files_elsewhere(tmp_path):
    """Removal goes by the index, and the index is a file that anybody may have edited."""
    victim = tmp_path / "victim"
    victim.write_text("x", encoding="utf-8")
    out = tmp_path / "out"
    out.mkdir()
    for name in ("../victim", "/etc/passwd", "a/../../victim", ".hidden"):
        (out / INDEX).write_text(json.dumps({"files": {name: "0"}}), encoding="utf-8")
        with pytest.raises(BadInputError, match="never writes"):
            write_export(out, [])
    (out / INDEX).write_text("[]", encoding="utf-8")
    with pytest.raises(BadInputError, match="not an index"):
        write_export(out, [])
    assert victim.exists()


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    """A reader sees the old file or the new one, never a part."""
    write_export(tmp_path, objects(a="old"))

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        write_export(tmp_path, objects(a="new"))
    assert (tmp_path / "shop" / "a.cilium.yaml").read_text(encoding="utf-8") == "old"
    assert listing(tmp_path) == [INDEX, "shop/a.cilium.yaml"]


@given(st.text(max_size=12), st.text(max_size=12))
def test_whatever_a_name_is_it_stays_in_the_folder(namespace, name):
    """Names come from flows: either they are Kubernetes names or they are refused."""
    try:
        path = file_name(namespace, name, "cilium")
    except BadInputError:
        return
    assert path == f"{namespace}/{name}.cilium.yaml"
    assert path.count("/") == 1
    assert ".." not in path
    assert not path.startswith((".", "/"))
    assert path.isascii()
