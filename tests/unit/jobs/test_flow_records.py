"""Records of flows for questions about single ones: any envelope, any packing, nothing lost in silence."""

import gzip
import io
import json
from pathlib import Path

import pytest
import zstandard

from jobs.flow_records import FlowRecords
from models.errors import BadInputError
from tests.support import shared_path

FLOW = {"flow": {"verdict": "FORWARDED", "IP": {"source": "10.0.0.1", "destination": "10.0.0.2"}}}
LINE = json.dumps(FLOW)

ENVELOPES = {
    "export": LINE,
    "bare": json.dumps(FLOW["flow"]),
    "cri": f"2026-03-01T00:00:00Z stdout F {LINE}",
    "collector": json.dumps({"log": LINE, "stream": "stdout"}),
    "loki": json.dumps({"data": {"result": [{"values": [["1", LINE]]}]}}),
    "array": json.dumps([FLOW]),
    "pretty": json.dumps(FLOW, indent=2),
}


def read(path: Path) -> tuple[list[dict[str, object]], FlowRecords]:
    """Records of a path, and what was said about it."""
    records = FlowRecords([str(path)])
    return list(records), records


@pytest.mark.parametrize("name", ENVELOPES)
def test_every_envelope_gives_the_flow_inside(tmp_path: Path, name: str) -> None:
    """Whatever a collector wrapped around it, the flow comes out whole."""
    (tmp_path / "flows").write_text(ENVELOPES[name] + "\n", encoding="utf-8")
    found, records = read(tmp_path / "flows")
    assert [record["flow"] for record in found] == [FLOW["flow"]]
    assert not records.unread


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress, bytes])
def test_every_packing_is_read_in_files_folders_and_pipes(tmp_path: Path, pack) -> None:
    """gzip, zstd and plain, from a folder and from standard input."""
    data = pack((LINE + "\n").encode() * 3)
    (tmp_path / "events").write_bytes(data)
    assert len(read(tmp_path)[0]) == 3
    assert len(list(FlowRecords(["-"], io.BytesIO(data)))) == 3


def test_what_is_no_flow_is_counted_and_named(tmp_path: Path) -> None:
    """A broken line costs itself alone, and its place is said."""
    (tmp_path / "flows").write_text(f"{LINE}\nhalf a li\n42\n{LINE}\n", encoding="utf-8")
    found, records = read(tmp_path / "flows")
    assert len(found) == 2
    assert records.unread == {"not JSON": 1, "not a flow": 1}
    assert records.named == [f"{tmp_path}/flows:2: not JSON", f"{tmp_path}/flows:3: not a flow"]


def test_a_damaged_archive_gives_what_could_be_read(tmp_path: Path) -> None:
    """The records before the damage count, and the damage is said."""
    noisy = "".join(json.dumps(FLOW | {"n": str(hash(str(n)))}) + "\n" for n in range(20_000)).encode()
    (tmp_path / "flows.gz").write_bytes(gzip.compress(noisy)[:-1000])
    found, records = read(tmp_path / "flows.gz")
    assert 0 < len(found) < 20_000
    assert set(records.unread) == {"corrupt"}


def test_order_is_that_of_the_lines(tmp_path: Path) -> None:
    """Wrapped and plain lines mixed keep their places."""
    lines = [json.dumps({"flow": {"uuid": str(n), "verdict": "AUDIT"}}) for n in range(6)]
    wrapped = [json.dumps({"log": line}) if n % 2 else line for n, line in enumerate(lines)]
    (tmp_path / "flows").write_text("\n".join(wrapped), encoding="utf-8")
    assert [record["flow"]["uuid"] for record in read(tmp_path / "flows")[0]] == list("012345")


def test_a_missing_file_is_an_error_with_its_name(tmp_path: Path) -> None:
    """No silence about a typing mistake."""
    with pytest.raises(BadInputError, match="nowhere"):
        FlowRecords([str(tmp_path / "nowhere")])


def test_captures_of_strangers_give_records() -> None:
    """Every file of the captures is read or named."""
    records = FlowRecords([str(shared_path("data/hubble-captures"))])
    assert sum(1 for _ in records) > 1000
