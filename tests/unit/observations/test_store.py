"""Batches, locks, recovery and upkeep of the observation store."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from jobs.observations import delta
from jobs.observations.fold import clusters, fold
from jobs.observations.maintenance import Vacuumed, compact, retain, vacuum
from jobs.observations.schema import EDGES, TABLES, arrow_schema
from jobs.observations.staging import Staging
from jobs.observations.store import ObservationStore
from models.errors import BadInputError, ConflictError, PortolanError, UnsupportedError
from tests.unit.observations.builders import API, CLUSTER, WEB, WINDOW, answer_to, at, flow, tables_of


def some_tables(days: int = 1) -> dict[str, pa.Table]:
    """One request and its answer per day."""
    requests = [flow(WEB, API, time=at(days=day)) for day in range(days)]
    return tables_of([*requests, *(answer_to(request) for request in requests)])


def test_a_batch_is_in_every_table_with_its_number(tmp_path):
    """The number is a Delta application transaction of the same commit."""
    store = ObservationStore(tmp_path)
    with store.writing() as writer:
        writer.commit(writer.next_batch(), some_tables())
    assert store.table("edges").last_batch() == 1
    assert store.dataset("edges").count_rows() > 0
    assert clusters(store) == [CLUSTER]


def test_an_empty_store_reads_as_empty_tables(tmp_path):
    """Nothing was ingested yet: no error, no rows."""
    store = ObservationStore(tmp_path)
    assert clusters(store) == []
    observed = fold(store, CLUSTER, WINDOW)
    assert observed.edge_days.empty
    assert observed.coverage.empty


def test_a_batch_number_is_used_once(tmp_path):
    """The cursor behind it is in the store already."""
    with ObservationStore(tmp_path).writing() as writer:
        writer.commit(1, some_tables())
        with pytest.raises(BadInputError, match="batch 1 is in the store already"):
            writer.commit(1, some_tables())


def test_recovery_finishes_what_was_staged_completely(tmp_path):
    """A process that died after staging wrote to no table, or to some: all have the batch afterwards."""
    store = ObservationStore(tmp_path)
    with store.writing() as writer:
        writer.commit(1, some_tables())
    tables = some_tables()
    staged = Staging(tmp_path / "staging").stage(2, tables, {"000002.jsonl": b"bad line\n"})
    store.table("edges").append(tables["edges"], staged.number)
    rows = store.dataset("edges").count_rows()
    with store.writing() as writer:
        assert writer.recovered.finished == 1
    assert store.dataset("edges").count_rows() == rows
    assert {store.table(name).last_batch() for name in tables if tables[name].num_rows} == {2}
    assert (tmp_path / "rejects" / "000002.jsonl").read_bytes() == b"bad line\n"


def test_recovery_deletes_what_was_staged_in_part(tmp_path):
    """Without the rename a batch never existed."""
    half = tmp_path / "staging" / "000000000001.tmp"
    half.mkdir(parents=True)
    (half / "edges.arrow").write_bytes(b"half a file")
    with ObservationStore(tmp_path).writing() as writer:
        assert writer.recovered.discarded == 1
        assert writer.next_batch() == 1
    assert not half.exists()


def test_only_one_process_writes(tmp_path):
    """The second is told so, and what to do."""
    store = ObservationStore(tmp_path)
    with store.writing(), pytest.raises(ConflictError, match="another process is writing"), store.writing():
        pytest.fail("two writers")


def test_reading_needs_no_lock(tmp_path):
    """A reader sees the last commit while a writer works."""
    store = ObservationStore(tmp_path)
    with store.writing() as writer:
        writer.commit(1, some_tables())
        assert not fold(ObservationStore(tmp_path), CLUSTER, WINDOW).edge_days.empty


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    """The folder is a file."""
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(PortolanError, match=str(blocked)), ObservationStore(blocked).writing():
        pytest.fail("wrote into a file")


def test_a_file_name_never_leaves_its_folder(tmp_path):
    """Reject files come with names from outside."""
    with (
        ObservationStore(tmp_path).writing() as writer,
        pytest.raises(BadInputError, match="no plain file name"),
    ):
        writer.commit(1, some_tables(), {"../outside": b""})


def test_rows_of_another_shape_are_refused(tmp_path):
    """A missing column would be read as NULL for ever."""
    with ObservationStore(tmp_path).writing() as writer:
        with pytest.raises(BadInputError, match="other columns"):
            writer.commit(1, {"edges": some_tables()["edges"].drop_columns(["flows"])})
        with pytest.raises(BadInputError, match="no such observation table"):
            writer.commit(1, {"flows": some_tables()["edges"]})


def test_a_table_of_another_layout_is_refused_by_name(tmp_path):
    """Reading it would mix two meanings."""
    path = tmp_path / "observations" / "edges"
    delta.DeltaTable.create(str(path), pa.schema([("day", pa.string()), ("old", pa.string())]))
    with pytest.raises(UnsupportedError, match=f"{path} has another layout"):
        ObservationStore(tmp_path).dataset("edges")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_has_arrow_types(table):
    """Keys first, then what is added up, then minima and maxima."""
    assert arrow_schema(table.name).names == list(table.columns)
    assert next(iter(table.columns)) == "day"


def test_compaction_changes_no_result_and_keeps_the_batch_number(tmp_path):
    """Partial rows of ten batches become one file per day and the same frames."""
    store = ObservationStore(tmp_path)
    with store.writing() as writer:
        for _ in range(10):
            writer.commit(writer.next_batch(), some_tables(days=2))
        before = fold(store, CLUSTER, WINDOW)
        done = compact(writer)
        after = fold(store, CLUSTER, WINDOW)
        assert compact(writer) == []
    edges = [change for change in done if change.table == "edges"]
    assert [(change.day, change.files) for change in edges] == [("2026-03-02", 10), ("2026-03-03", 10)]
    assert all(change.rows_after < change.rows_before for change in edges)
    assert store.last_batch() == 10
    for name in ("edge_days", "edge_pods", "identities", "pods", "coverage", "set_aside"):
        assert getattr(before, name).equals(getattr(after, name)), name


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_compacts(tmp_path, table):
    """Whatever its columns are called: two equal rows become one."""
    row = {name: "" if kind == "string" else 1 for name, kind in table.columns.items()}
    row |= {name: True for name, kind in table.columns.items() if kind == "boolean"} | {"day": "2026-03-02"}
    rows = pa.Table.from_pylist([row], schema=arrow_schema(table.name))
    with ObservationStore(tmp_path).writing() as writer:
        for batch in (1, 2):
            writer.commit(batch, {table.name: rows})
        assert [(done.rows_before, done.rows_after) for done in compact(writer)] == [(2, 1)]
        merged = writer.store.dataset(table.name).to_table().to_pylist()[0]
    assert all(merged[name] == 2 for name in table.sums)


def test_a_reader_outlives_compaction_until_vacuum(tmp_path):
    """Files stay until nobody can be reading them."""
    store = ObservationStore(tmp_path)
    with store.writing() as writer:
        for _ in range(2):
            writer.commit(writer.next_batch(), some_tables())
        reader = store.dataset("edges")
        rows = reader.count_rows()
        compact(writer)
        assert vacuum(writer) == []
        assert reader.to_table().num_rows == rows
        assert Vacuumed("edges", 2) in vacuum(writer, after_hours=0)
    assert store.dataset("edges").count_rows() < rows


def test_retention_drops_whole_days_per_table(tmp_path):
    """Each table keeps its own number of days."""
    store = ObservationStore(tmp_path)
    with store.writing() as writer:
        writer.commit(1, some_tables(days=3))
        dropped = retain(writer, date(2026, 3, 5), {"edges": 2, "coverage": 63})
    assert [(drop.table, drop.days) for drop in dropped] == [("edges", ("2026-03-02",))]
    assert sorted(set(store.dataset("edges").to_table()["day"].to_pylist())) == ["2026-03-03", "2026-03-04"]
    assert store.last_batch() == 1


def test_reading_stays_within_the_days_asked_for(tmp_path):
    """Partitions prune."""
    store = ObservationStore(tmp_path)
    with store.writing() as writer:
        writer.commit(1, some_tables(days=3))
    days = store.dataset("edges", "2026-03-03", "2026-03-03").to_table()["day"].to_pylist()
    assert set(days) == {"2026-03-03"}


def test_a_merged_column_is_a_key_or_a_measure_and_never_both():
    """Merging partial rows would not know what to do with it."""
    for table in TABLES:
        measures = [*table.sums, *table.minima, *table.maxima]
        assert len(set(measures)) == len(measures)
        assert not set(measures) & set(table.keys)
    assert replace(EDGES).columns == EDGES.columns
    assert isinstance(Path(EDGES.name).name, str)
