"""Every published capture ingests, and the counts are what its README says is in it."""

import re
from pathlib import Path

import pytest

from jobs.ingest import run_ingest
from jobs.observations.store import ObservationStore
from jobs.sources.report import FileReport
from tests.support import shared_path
from tests.unit.jobs.test_ingest import balanced

FOLDER = "data/hubble-captures"
_ROW = re.compile(r"^\| (\S+/\S+) \| \d+ \| \d+ \| (\d+) \| (\d+)[^|]*\| (\d+) \|", re.MULTILINE)


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FileReport]:
    """Reports of one ingest of the whole folder, by path inside it."""
    folder = shared_path(FOLDER)
    report = balanced(run_ingest([str(folder)], store=ObservationStore(tmp_path_factory.mktemp("captures"))))
    return {str(Path(file.path).relative_to(folder)): file for file in report.files}


def test_every_capture_holds_what_its_readme_says(ingested: dict[str, FileReport]) -> None:
    """Flows, other records and lines that are no JSON, for each file of the table."""
    rows = _ROW.findall((shared_path(FOLDER) / "README.md").read_text())
    assert len(rows) == 32
    for name, flows, other, broken in rows:
        if "*" in name:
            continue
        file = ingested[name]
        found = file.accepted + file.duplicates + file.rejected["no time"]
        assert (found, file.skipped.total(), file.rejected["not JSON"]) == (
            int(flows),
            int(other),
            int(broken),
        ), name
        assert file.rejected.total() == file.rejected["not JSON"] + file.rejected["no time"], name


def test_trimmed_flows_without_a_time_are_counted_and_kept(ingested: dict[str, FileReport]) -> None:
    """The edited test cases hold 103 flows, 80 of them without any time."""
    files = [file for name, file in ingested.items() if "test-cases/" in name]
    assert len(files) == 47
    assert sum(file.records for file in files) == 103
    assert sum(file.rejected["no time"] for file in files) == 80


def test_the_kinds_of_captures_add_up(ingested: dict[str, FileReport]) -> None:
    """3,417 flows in 78 files, four of which start with a loss that Hubble reports."""
    assert len(ingested) == 78
    flows = sum(file.accepted + file.duplicates + file.rejected["no time"] for file in ingested.values())
    assert flows == 3417
    assert sum(file.skipped["lost_events"] for file in ingested.values()) == 4
    assert sum(file.lost_events for file in ingested.values()) == 4
