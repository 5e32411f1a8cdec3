"""One ingest into real tables: what is counted, what is kept, and that nothing is counted twice."""

import gzip
import io
import json
import os
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import zstandard

from jobs import ingest
from jobs.ingest import run_ingest
from jobs.observations.fold import fold
from jobs.observations.schema import TABLES
from jobs.observations.store import ObservationStore
from jobs.propose import propose
from jobs.sources import content
from jobs.sources.report import IngestReport
from models.domain.window import Window
from models.errors import BadInputError, ConflictError
from tests.support import shared_path
from tests.unit.sources.flows import TIME, flow, lines, many, wrapped


def state(store: ObservationStore) -> dict[str, list[Any]]:
    """Merge every table but the cursor by key, so that the number of batches does not show."""
    merged = {}
    for table in TABLES:
        if table.name == "batches":
            continue
        with duckdb.connect() as con:
            con.register("rows", store.dataset(table.name))
            keys = ", ".join(table.keys)
            measures = [f"sum({name})" for name in table.sums]
            measures += [f"min({name})" for name in table.minima] + [f"max({name})" for name in table.maxima]
            grouped = f"SELECT {', '.join([keys, *measures])} FROM rows GROUP BY {keys}"
            merged[table.name] = con.execute(f"SELECT * FROM ({grouped}) ORDER BY ALL").fetchall()
    return merged


def balanced(report: IngestReport) -> IngestReport:
    """The report, after its sums were checked, in total and for each file."""
    data = report.as_json()
    for counts in (data, *data["files"]):
        parts = counts["accepted"] + sum(counts["skipped"].values()) + sum(counts["rejected"].values())
        assert counts["records"] == parts + counts["duplicates"], counts
    return report


def rejects(store: ObservationStore) -> list[dict[str, Any]]:
    """All kept rejects."""
    return [
        json.loads(line)
        for path in sorted(store.rejects.glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]


@pytest.fixture
def store(tmp_path: Path) -> ObservationStore:
    return ObservationStore(tmp_path / "data")


def test_trap_A1_a_folder_of_every_packing_is_read_once(tmp_path: Path, store: ObservationStore) -> None:
    """Plain, gzip, zstd and arrays; hidden files and other data are left out and named; a half line is kept."""
    flows = [wrapped(one) for one in many(50)]
    folder = tmp_path / "flows" / "node-1"
    folder.mkdir(parents=True)
    (folder / "events.log").write_bytes(lines(*flows[:10]) + b'{"flow":{"verd')
    (folder / "events-2026-03-02T10-15-30.123.log.gz").write_bytes(
        gzip.compress(lines(*flows[10:20])) + gzip.compress(lines(*flows[20:25]))
    )
    (folder / "archive.zst").write_bytes(zstandard.compress(lines(*flows[25:35])))
    (folder / "array.json").write_text(json.dumps(flows[35:40]))
    (folder / "pretty.json").write_text(json.dumps(flows[40], indent=2))
    (folder / "again.json").write_bytes(lines(*flows[5:15]))
    (folder / ".hidden.json").write_bytes(lines(*flows[41:50]))
    (folder / "README.md").write_text("# flows")
    report = balanced(run_ingest([str(tmp_path / "flows")], store=store))
    assert (report.accepted, report.duplicates) == (41, 10)
    assert report.rejected == {"truncated": 1}
    assert [warning.rpartition("/")[2] for warning in report.warnings if "left out" in warning] == [
        ".hidden.json",
        "README.md",
    ]
    assert rejects(store) == [
        {"file": str(folder / "events.log"), "line": 11, "reason": "truncated", "text": '{"flow":{"verd'}
    ]


def test_what_portolan_wrote_is_no_flow_data(tmp_path: Path) -> None:
    """The folder of flows may hold the data directory: what was kept there is not read as flows again."""
    store = ObservationStore(tmp_path / "flows" / "state")
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "one.log").write_bytes(lines(flow()) + b"no flow\n")
    first = balanced(run_ingest([str(tmp_path / "flows")], store=store))
    assert (first.accepted, len(rejects(store))) == (1, 1)
    again = balanced(run_ingest([str(tmp_path / "flows")], store=store))
    assert (again.records, again.duplicates, len(rejects(store)), again.warnings) == (2, 2, 1, [])
    named = balanced(run_ingest([str(store.data_dir / "rejects")], store=store))
    assert named.records == 1


def test_trap_A6_reading_the_same_again_changes_nothing(tmp_path: Path, store: ObservationStore) -> None:
    """The same file, its copy, its compressed copy, its rotated name and overlapping parts."""
    data = lines(*(wrapped(one) for one in many(3000)))
    file = tmp_path / "events.log"
    file.write_bytes(data)
    assert balanced(run_ingest([str(file)], store=store)).accepted == 3000
    before = state(store)
    batches = store.dataset("batches").count_rows()
    (tmp_path / "events-old.log").write_bytes(data)
    (tmp_path / "events.log.gz").write_bytes(gzip.compress(data))
    (tmp_path / "events.log.zst").write_bytes(zstandard.compress(data))
    again = balanced(run_ingest([str(tmp_path / "events*")], store=store))
    assert (again.records, again.accepted, again.duplicates) == (12_000, 0, 12_000)
    assert store.dataset("batches").count_rows() == batches, "known content is not even parsed"
    (tmp_path / "part").write_bytes(data[data.index(b"\n", 99_999) + 1 :])
    part = balanced(run_ingest([str(tmp_path / "part")], store=store))
    assert (part.accepted, part.records) == (0, part.duplicates)
    assert state(store) == before


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_trap_A15_a_file_that_grew_is_read_on_from_where_it_ended(
    tmp_path: Path, store: ObservationStore, pack: Callable[[bytes], bytes]
) -> None:
    """Only the new lines; a line that was cut is read whole once it is."""
    flows = [wrapped(one) for one in many(300)]
    data = lines(*flows)
    file = tmp_path / "events.log"
    cut = data.index(b"\n", len(data) // 2) - 40
    file.write_bytes(pack(data[:cut]))
    first = balanced(run_ingest([str(file)], store=store))
    assert first.rejected == {"truncated": 1}
    assert len(rejects(store)) == 1
    file.write_bytes(pack(data))
    second = balanced(run_ingest([str(file)], store=store))
    assert first.accepted + second.accepted == 300
    assert second.duplicates == first.accepted
    assert rejects(store) == []
    other = ObservationStore(tmp_path / "other")
    run_ingest([str(file)], store=other)
    assert state(store) == state(other)


def test_the_same_flow_with_and_without_a_uuid_is_one(tmp_path: Path, store: ObservationStore) -> None:
    """In one file in either order, and across ingests; same uuid on another node is another flow."""
    full = flow()
    thin = flow(uuid=None, Type=None)
    for number, pair in enumerate(([full, thin], [thin, full], [thin], [full])):
        file = tmp_path / f"{number}.json"
        file.write_bytes(lines(*map(wrapped, pair)))
        assert balanced(run_ingest([str(file)], store=store)).accepted == (1 if number == 0 else 0)
    file.write_bytes(lines(wrapped(flow(node_name="prod/node-2"))))
    assert run_ingest([str(file)], store=store).accepted == 1


def test_the_same_flow_in_three_pipelines(tmp_path: Path, store: ObservationStore) -> None:
    """A real case: observer and exporter hold one flow, the exporter's without a uuid; Loki another."""
    folder = shared_path("data/hubble-captures/ephico2real2-cilium-implementation-poc")
    files = [str(folder / f"26-flow-stranger-to-shop.{name}.json") for name in ("observer", "export", "loki")]
    report = balanced(run_ingest(files, store=store))
    assert (report.accepted, report.duplicates) == (2, 1)


def test_trap_A2_lost_events_reach_the_coverage(tmp_path: Path, store: ObservationStore) -> None:
    """Counted once, per node and hour, and never as flows."""
    lost = {
        "lost_events": {"source": "HUBBLE_RING_BUFFER", "num_events_lost": "1834"},
        "node_name": "prod/node-1",
        "time": TIME,
    }
    status = {
        "node_status": {"state_change": "NODE_UNAVAILABLE", "node_names": ["prod/node-9"]},
        "node_name": "prod/relay",
        "time": TIME,
    }
    file = tmp_path / "events.log"
    file.write_bytes(lines(lost, wrapped(flow()), status, lost))
    report = balanced(run_ingest([str(file)], store=store))
    assert (report.accepted, report.lost_events, report.duplicates) == (1, 1834, 1)
    assert report.skipped == {"lost_events": 1, "node_status": 1}
    with duckdb.connect() as con:
        con.register("coverage", store.dataset("coverage"))
        assert con.execute("SELECT sum(lost_events), sum(flows) FROM coverage").fetchall() == [(1834, 1)]
    day = datetime(2026, 3, 2, tzinfo=UTC)
    observed = fold(store, "prod", Window(day, day + timedelta(days=1)))
    (hour,) = observed.coverage[["nodes", "expected_nodes", "lost_events"]].to_numpy().tolist()
    assert hour == [1, 2, 1834]
    assert propose(observed).effective_days == 0.0, "an hour of losses is not an hour observed"


def test_trap_A9_nothing_is_built_on_what_stored_logs_lack(tmp_path: Path, store: ObservationStore) -> None:
    """Rows of Azure Monitor name workloads and ports, but no labels, addresses or names: they are counted, no more."""
    pod = {"SourceNamespace": "shop", "SourceWorkloads": '[{"name":"web","kind":"Deployment"}]'}
    row = {"Verdict": "FORWARDED", "Reply": False, "IP": {}, "Layer4": '{"TCP":{"destination_port":443}}'}
    rows = [
        row | pod | {"TimeGenerated": f"2026-03-02T10:{minute:02d}:00Z", "EgressFlowCount": 9} | server
        for minute in range(20)
        for server in (
            {"DestinationIdentity": 2},
            {"DestinationNamespace": "shop", "DestinationWorkloads": '[{"name":"api","kind":"Deployment"}]'},
        )
    ]
    file = tmp_path / "logs.json"
    file.write_bytes(lines(*rows))
    report = balanced(run_ingest([str(file)], store=store, cluster="prod"))
    assert report.accepted == 40
    said = " ".join(report.warnings)
    assert "no flow has labels: pods are known by namespace and workload only" in said
    assert "no flow has addresses: peers outside the cluster stay unnamed" in said
    day = datetime(2026, 3, 2, tzinfo=UTC)
    result = propose(fold(store, "prod", Window(day, day + timedelta(days=1))))
    assert not result.proposals
    assert {line.reason for line in result.left_out} == {"subject_no_selector"}
    assert sum(line.flows for line in result.left_out) == 3 * 20 * 9, "web twice, api once"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"is_reply": None}, "is_reply"),
        ({"node_name": None}, "node_name"),
        ({"l4": {"TCP": {"source_port": 1}}}, "ports"),
        ({"IP": None}, "addresses"),
        ({"source": {"namespace": "shop"}, "destination": {"namespace": "shop"}}, "labels"),
    ],
)
def test_trap_A10_a_column_missing_from_a_whole_file_is_said(
    tmp_path: Path, store: ObservationStore, changes: dict[str, Any], said: str
) -> None:
    """With what its absence costs; the flows are kept as far as they go."""
    flows = many(20)
    for one in flows:
        one.update(changes)
    file = tmp_path / "masked.json"
    file.write_bytes(
        lines(*({"flow": {key: value for key, value in one.items() if value is not None}} for one in flows))
    )
    report = balanced(run_ingest([str(file)], store=store))
    assert report.accepted == 20
    assert [warning for warning in report.warnings if f"no flow has {said}" in warning]


def test_trap_A2_lost_events_are_counted_once_whatever_stands_between(
    tmp_path: Path, store: ObservationStore
) -> None:
    """Lines, a list, and lines again: each is read in another way, and begun before the one before is done."""
    for number, name in enumerate("abc"):
        lost = {
            "lost_events": {"source": "HUBBLE_RING_BUFFER", "num_events_lost": str(10**number)},
            "node_name": "prod/node-1",
            "time": f"2026-03-02T10:15:3{number}.000000001Z",
        }
        values = [wrapped(one) for one in many(30, node_name=f"prod/node-{name}")] + [lost]
        data = json.dumps(values).encode() if name == "b" else lines(*values)
        (tmp_path / f"{name}.json").write_bytes(data)
    report = balanced(run_ingest([str(tmp_path / "*.json")], store=store))
    assert report.accepted == 90
    assert [file.lost_events for file in report.files] == [1, 10, 100]


def test_trap_A16_a_source_that_keeps_denials_only_allows_nothing(
    tmp_path: Path, store: ObservationStore
) -> None:
    """An exporter's allow-list of drops shows no traffic that works: it is said, and no deny is proposed."""
    file = tmp_path / "drops.json"
    denied = {"verdict": "DROPPED", "drop_reason_desc": "POLICY_DENIED", "is_reply": None}
    file.write_bytes(lines(*map(wrapped, many(20, event_type={"type": 5}, **denied))))
    report = balanced(run_ingest([str(file)], store=store))
    assert report.accepted == 20
    assert [one.split(": ")[1] for one in report.warnings] == ["no flow has a verdict but DROPPED"]
    day = datetime(2026, 3, 2, tzinfo=UTC)
    result = propose(fold(store, "prod", Window(day, day + timedelta(days=1))))
    assert not result.proposals
    assert {one.reason for one in result.unproposed} == {"both_directions_open"}


def test_trap_A10_flows_without_a_verdict_are_refused(tmp_path: Path, store: ObservationStore) -> None:
    """Nobody can say whether they were allowed: each line is kept as a reject."""
    file = tmp_path / "masked.json"
    file.write_bytes(lines(*(wrapped(flow(verdict=None, uuid=str(number))) for number in range(20))))
    report = balanced(run_ingest([str(file)], store=store))
    assert (report.accepted, dict(report.rejected)) == (0, {"no verdict": 20})
    assert [row["line"] for row in rejects(store)] == list(range(1, 21))


def test_trap_A13_batches_cut_anywhere_give_the_same_tables(
    tmp_path: Path, store: ObservationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small chunks and small batches, and the order of the files, do not show."""
    flows = many(800) + many(400, node_name="prod/node-2", traffic_direction="INGRESS")
    (tmp_path / "a.json").write_bytes(lines(*(wrapped(one) for one in flows[:700])) + b"garbage\n")
    (tmp_path / "b.json").write_bytes(lines(*(wrapped(one) for one in flows[500:])) + b"\n\nmore garbage\n")
    files = [str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    whole = balanced(run_ingest(files, store=store))
    monkeypatch.setattr(content, "CHUNK", 100_000)
    monkeypatch.setattr(ingest, "CHUNK", 100_000)
    monkeypatch.setattr(ingest, "READ_TOGETHER", 100_000)
    monkeypatch.setattr(ingest, "BATCH_BYTES", 300_000)
    other = ObservationStore(tmp_path / "other")
    cut = balanced(run_ingest(files[::-1], store=other))
    assert other.dataset("batches").count_rows() > 4
    assert (cut.accepted, cut.duplicates, cut.rejected) == (whole.accepted, whole.duplicates, whole.rejected)
    assert [(row["line"], row["text"]) for row in sorted(rejects(store), key=str)] == [
        (row["line"], row["text"]) for row in sorted(rejects(other), key=str)
    ]
    assert state(other) == state(store)


def test_what_a_broken_archive_still_holds_is_read(tmp_path: Path, store: ObservationStore) -> None:
    """A gzip file cut short: the whole lines count, the break is a reject, and the rest is read later."""
    data = lines(*(wrapped(one) for one in many(2000)))
    packed = gzip.compress(data)
    file = tmp_path / "cut.gz"
    file.write_bytes(packed[: len(packed) // 2])
    first = balanced(run_ingest([str(file)], store=store))
    assert 100 < first.accepted < 2000
    assert [reason.partition(":")[0] for reason in first.rejected] == ["corrupt"]
    file.write_bytes(packed)
    assert first.accepted + balanced(run_ingest([str(file)], store=store)).accepted == 2000


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_line_that_is_too_long_is_one_reject(
    tmp_path: Path, store: ObservationStore, pack: Callable[[bytes], bytes]
) -> None:
    """Twenty megabytes between two good lines."""
    flows = [wrapped(one) for one in many(2)]
    file = tmp_path / "long.json"
    file.write_bytes(pack(lines(flows[0]) + b'{"flow":"' + b"x" * 20_000_000 + b'"}\n' + lines(flows[1])))
    report = balanced(run_ingest([str(file)], store=store))
    assert (report.accepted, dict(report.rejected)) == (2, {"oversized": 1})
    assert [(row["line"], len(row["text"])) for row in rejects(store)] == [(2, 4096)]


def test_standard_input_is_read_as_it_comes(store: ObservationStore) -> None:
    """Also packed; a name for it in the report."""
    data = lines(*(wrapped(one) for one in many(30)))
    report = balanced(run_ingest(["-"], store=store, stdin=io.BytesIO(gzip.compress(data))))
    assert (report.accepted, report.files[0].path) == (30, "-")
    assert balanced(run_ingest(["-"], store=store, stdin=io.BytesIO(data))).duplicates == 30


def test_a_missing_path_is_named_and_nothing_is_read(tmp_path: Path, store: ObservationStore) -> None:
    """Before anything is opened."""
    with pytest.raises(BadInputError, match="no-such-file"):
        run_ingest([str(tmp_path / "no-such-file")], store=store)


def test_one_writer_at_a_time(store: ObservationStore) -> None:
    """The second is told to wait."""
    with store.writing(), pytest.raises(ConflictError):
        run_ingest(["-"], store=store, stdin=io.BytesIO(b""))


def test_the_cluster_is_the_one_named_else_the_nodes(tmp_path: Path, store: ObservationStore) -> None:
    """--cluster, else the prefix of the node, else the local end, else default."""
    found = [flow(uuid="1"), flow(uuid="2", node_name="node-1"), flow(uuid="3", node_name="n")]
    found[2]["source"]["cluster_name"] = found[2]["destination"]["cluster_name"] = ""
    file = tmp_path / "a.json"
    file.write_bytes(lines(*map(wrapped, found)))
    run_ingest([str(file)], store=store)
    assert {row[1] for row in state(store)["identities"]} == {"prod", "default"}
    other = ObservationStore(tmp_path / "other")
    report = run_ingest([str(file)], store=other, cluster="named")
    assert {row[1] for row in state(other)["identities"]} == {"named"}
    assert [text.partition(": ")[2] for text in report.warnings] == [
        "flows that name another cluster, kept under named: 2"
    ]
    again = run_ingest([str(file)], store=ObservationStore(tmp_path / "same"), cluster="prod")
    assert again.warnings == []


def test_the_ledger_says_day_hour_and_cluster_of_every_record(
    tmp_path: Path, store: ObservationStore
) -> None:
    """Whether a record was understood by its template or by itself, on both sides of midnight."""
    expected: Counter[tuple[str, int, str]] = Counter()
    written = b""
    for number in range(60):
        cluster, second = ("west", "east", "north")[number % 3], number % 40
        day, time = ("2026-03-02", "23:59") if second < 20 else ("2026-03-03", "00:00")
        one = flow(uuid=f"{number}-a", node_name=f"{cluster}/n", time=f"{day}T{time}:{second:02d}Z")
        loose = number % 2 == 0  # laid out unlike the others: no template
        written += json.dumps(wrapped(one)).encode() + b"\n" if loose else lines(wrapped(one))
        expected[day, 492_359 + (second >= 20), cluster] += 1
    file = tmp_path / "a.json"
    file.write_bytes(written)
    assert run_ingest([str(file)], store=store).accepted == 60
    columns = store.dataset("ledger").to_table().select(["day", "hour", "cluster"]).to_pylist()
    assert Counter((row["day"], row["hour"], row["cluster"]) for row in columns) == expected


def test_trap_A14_a_hostile_cluster_is_no_name_for_one(tmp_path: Path, store: ObservationStore) -> None:
    """What a node or an end calls its cluster becomes a path: anything but a name falls back, and is counted."""
    odd = (
        "../../x/node-1",
        "../node-1",
        "a b/node-1",
        "-x/node-1",
        "x\n/node-1",
        "é/node-1",
        "x" * 64 + "/n",
    )
    flows = [flow(node_name=name, uuid=f"6f1c2d3e-0a1b-4c2d-8e3f-{n:012d}") for n, name in enumerate(odd)]
    nameless = flow(node_name="../node-1", uuid="6f1c2d3e-0a1b-4c2d-8e3f-000000000099")
    for end in ("source", "destination"):
        nameless[end]["cluster_name"] = "../../etc"
    file = tmp_path / "a.json"
    file.write_bytes(lines(*map(wrapped, [*flows, nameless])))
    report = balanced(run_ingest([str(file)], store=store))
    assert report.accepted == 8
    assert set(store.dataset("edges").to_table()["cluster"].to_pylist()) == {"prod", "default"}
    assert [warning for warning in report.warnings if warning.endswith("as default: 8")]
    for name in ("..", "a/b", "", "x" * 64, "a\n"):
        with pytest.raises(BadInputError, match="no name for a cluster"):
            run_ingest([str(file)], store=store, cluster=name)


def test_progress_counts_to_the_end(tmp_path: Path, store: ObservationStore) -> None:
    """Bytes never go down and end at their sum."""
    for number in range(3):
        (tmp_path / f"{number}.json").write_bytes(lines(*(wrapped(one) for one in many(10))))
    seen: list[tuple[int, int, int]] = []
    run_ingest([str(tmp_path / "*.json")], store=store, progress=lambda *step: seen.append(step))
    assert seen[-1][0] == seen[-1][1] > 0
    assert seen[-1][2] == 30
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)


def test_a_named_pipe_is_read_to_its_end(tmp_path: Path, store: ObservationStore) -> None:
    """As a shell's ``<(zcat …)`` hands it over: it has no size, and what it carried is not read as nothing."""
    data = lines(*(wrapped(one) for one in many(40)))
    pipe = tmp_path / "pipe"
    for content_of_it, accepted in ((data, 40), (gzip.compress(data), 0)):
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_bytes, args=(content_of_it,))
        writer.start()
        report = balanced(run_ingest([str(pipe)], store=store))
        writer.join()
        pipe.unlink()
        assert (report.records, report.accepted, report.files[0].path) == (40, accepted, str(pipe))


def test_links_that_lead_nowhere_and_files_that_are_gone_stop_nothing(
    tmp_path: Path, store: ObservationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rotation may take a file away between the listing and the reading."""
    folder = tmp_path / "flows"
    folder.mkdir()
    (folder / "a.json").write_bytes(lines(*(wrapped(one) for one in many(10))))
    (folder / "dangling.json").symlink_to("nowhere")
    (folder / "loop").symlink_to(folder)
    (folder / "x.json").mkdir()
    os.mkfifo(folder / "pipe.json")
    assert balanced(run_ingest([str(folder)], store=store)).accepted == 10
    assert balanced(run_ingest([str(folder / "[ad]*.json")], store=store)).duplicates == 10
    with pytest.raises(BadInputError, match="no such file"):
        run_ingest([str(folder / "dangling.json")], store=store)
    gone = folder / "gone.json"
    monkeypatch.setattr(ingest, "find_files", lambda paths, own: ([gone, folder / "a.json"], list(paths)[:0]))
    report = balanced(run_ingest([str(gone)], store=store))
    assert dict(report.rejected) == {"cannot be read: No such file or directory": 1}
    assert report.duplicates == 10
