"""The night with planted drift: the demo's report holds every planted thing, and nothing else."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from jobs.policy_files import read_objects
from models.drift.atoms import meaning
from models.manifest.parse import parse_objects
from sample_data.night.deployed import deploy
from sample_data.night.enforcement import CONFIG
from sample_data.night.generate import PAGE, PAGE_HEAD
from tests.functional.conftest import PROGRAM, environment, serving
from tests.support import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
NIGHT = ROOT / "sample_data" / "night"
AGAIN = "run 'python -m sample_data.night.generate'"


@dataclass(frozen=True)
class Demo:
    """A demo that has run."""

    data: Path
    printed: str

    def run(self, *arguments):
        """What a command prints about the demo's data."""
        done = subprocess.run(
            [PROGRAM, *map(str, arguments), "--data-dir", str(self.data)],
            cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """``make demo`` without the serving, once for all tests."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [PROGRAM, "demo", "--once"],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return Demo(folder / ".demo", done.stdout)


@pytest.fixture(scope="module")
def served(demo):
    """Both kept reports, newest first, over HTTP, and the page of the newest."""
    with serving(demo.data, "--no-scheduler") as client:
        page = client.get("/drift")
        assert page.status_code == 200
        ids = [line["id"] for line in client.get("/api/v1/drift/reports").json()["items"]]
        return [client.get(f"/api/v1/drift/reports/{one}").json() for one in ids], page.text


@pytest.fixture(scope="module")
def report(served):
    """The report of the night with planted things, and its page."""
    return served[0][0], served[1]


@pytest.fixture(scope="module")
def truth():
    """Findings that the truth file asks for."""
    return yaml.safe_load((NIGHT / "truth.yaml").read_text(encoding="utf-8"))["findings"]


def told(finding):
    """A finding in the words of the truth file."""
    subject, peer = finding["subject"], finding["peer"] or {}
    names = " + ".join(peer.get("workloads") or [peer.get("workload", "")])
    return {
        "kind": finding["kind"],
        "subject": "/".join(part for part in (subject["namespace"], subject["workload"]) if part),
        "direction": finding["direction"] or "",
        "peer": f"{peer['namespace']}/{names}" if peer.get("kind") == "endpoint" else "",
    }


def fits(row, finding):
    """Whether a finding is what a row of the truth asks for."""
    same = all(row.get(key, "") == value for key, value in told(finding).items())
    return same and row.get("policy", "") in (finding["policy"] or "")


def test_the_demo_runs_once_and_exits(demo):
    """Make demo without the serving."""
    assert "proposals with" in demo.printed
    assert demo.printed.count("kind: CiliumNetworkPolicy") == 3
    assert "findings:" in demo.printed
    assert (demo.data / "portolan.db").exists()


def check(rows, findings):
    """One finding per row of the truth, one row per finding."""
    missed = [row for row in rows if sum(fits(row, finding) for finding in findings) != 1]
    assert missed == []
    assert [finding["why"] for finding in findings if not any(fits(row, finding) for row in rows)] == []
    assert len(rows) == len(findings)


def test_the_report_holds_every_planted_thing_and_nothing_else(report, truth):
    """Tuesday, with everything."""
    assert report[0]["window"]["start"].startswith("2026-11-17")
    check(truth, report[0]["findings"])


def test_an_ordinary_night_holds_only_what_was_done_to_the_policies(served, truth):
    """Monday: the first night of enforcement, with scans, a dead database and a leftover client dropped."""
    before = served[0][1]
    assert before["window"]["start"].startswith("2026-11-16")
    check([row for row in truth if row["since"] == "2026-11-16"], before["findings"])


def test_what_was_told_the_night_before_is_no_news(report, truth):
    """The page marks as new what began on Tuesday, and nothing else."""
    began = sum(row["since"] == "2026-11-17" for row in truth)
    assert report[1].count('<span class="news">new</span>') == began
    assert f"{began} new, {len(truth) - began} known" in report[1]


def test_every_kind_of_finding_is_in_the_sample(report):
    """Whoever opens the demo's report sees what each kind looks like."""
    assert all(report[0]["summary"]["by_kind"].values())


def test_nobody_is_advised_to_open_anything_for_the_intruder(report):
    """What looks wrong comes with advice to look, and with no patch."""
    odd = [finding for finding in report[0]["findings"] if finding["kind"] == "suspicious"]
    assert {finding["suggestion"]["action"] for finding in odd} == {"investigate"}
    assert not any("patch" in finding["suggestion"] for finding in odd)


def test_a_rule_is_added_to_the_policy_of_the_workload_and_not_to_one_for_all(report):
    """The namespace's visibility policy selects everybody: a rule in it would open all of them."""
    changed = {
        finding["suggestion"]["policy"]
        for finding in report[0]["findings"]
        if finding["suggestion"] and finding["suggestion"]["action"] == "add_rule"
    }
    assert len(changed) == 4
    assert all("/portolan-" in policy for policy in changed)


def test_the_page_shows_every_finding(report):
    """What the API says stands on the page."""
    form, page = report
    assert page.count("<article class=") == len(form["findings"]) + 1  # and what was not heard


def test_the_page_of_the_documentation_is_what_the_demo_reports(demo):
    """Byte for byte, from the command that a person would run."""
    paths = [
        part for name in ("policies", "night/policies") for part in ("--policies", f"sample_data/{name}")
    ]
    printed = demo.run("drift", *paths, "--as-of", "2026-11-18", "--no-record", "--format", "markdown")
    assert PAGE.read_text(encoding="utf-8").rstrip() == f"{PAGE_HEAD}\n{printed}".rstrip(), AGAIN


def test_what_is_deployed_are_the_proposals_of_the_demo_with_the_planted_edits(demo, tmp_path):
    """The committed policies say what inference proposes today; how they are written may differ."""
    demo.run("export", "--state", "any", "--out", tmp_path / "out")
    proposed = [one for one in read_objects([tmp_path / "out"]) if "spec" in one]
    made, kept = (
        meaning(parse_objects(objects, config=CONFIG))
        for objects in (deploy(proposed), read_objects([NIGHT / "policies"]))
    )
    assert [str(policy) for policy in kept if kept[policy] != made.get(policy)] == [], AGAIN
    assert sorted(map(str, kept)) == sorted(map(str, made)), AGAIN
