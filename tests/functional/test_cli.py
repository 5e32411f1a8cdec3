"""The main job on the command line, with no configuration at all."""

import json
import os
import pty
import shutil
import signal
import subprocess
import time
from datetime import timedelta

import pytest
import yaml

from tests.functional.conftest import PROGRAM, environment, run_json
from tests.functional.flows import EDGES, START, flows, write_flows
from tests.support import shared_path


@pytest.fixture
def data(learned, tmp_path):
    """A copy of the learned data directory, to decide in."""
    shutil.copytree(learned, tmp_path / "data")
    return tmp_path / "data"


def key_of(run, data, workload):
    """Key of the proposal for a workload."""
    found = run_json(run, "proposals", "--data-dir", data)["proposals"]
    return next(one["key"] for one in found if f"Deployment/{workload}" in one["subject"]["workloads"])


def test_flows_become_policies_without_any_configuration(portolan, tmp_path):
    """ingest, infer, export: three commands, nothing to configure, one file per policy."""
    flows = write_flows(tmp_path / "flows.jsonl")
    report = run_json(portolan, "ingest", flows)
    assert report["records"] == report["accepted"] == 3 * 24 * len(EDGES) * 2
    assert set(report) >= {"records", "accepted", "skipped", "rejected", "duplicates", "lost_events", "files"}
    assert run_json(portolan, "infer")["new"] == 5
    portolan("export", "--state", "any", "--out", "policies")
    files = sorted(path.relative_to(tmp_path / "policies") for path in tmp_path.glob("policies/**/*.yaml"))
    assert [str(path.parent) for path in files] == ["kube-system", "shop", "shop", "shop", "shop"]
    for path in files:
        manifest = yaml.safe_load((tmp_path / "policies" / path).read_text(encoding="utf-8"))
        assert manifest["kind"] == "CiliumNetworkPolicy"
        assert manifest["metadata"]["namespace"] == str(path.parent)


def test_real_captures_become_policies_or_say_why_not(portolan, tmp_path):
    """The same three commands on what exporters of strangers wrote."""
    captures = shared_path("data/hubble-captures")
    report = run_json(portolan, "ingest", captures)
    kept = report["accepted"] + report["duplicates"]
    assert report["records"] == kept + sum(report["skipped"].values()) + sum(report["rejected"].values())
    portolan("infer")
    clusters = {one["cluster"] for one in run_json(portolan, "proposals")["proposals"]}
    for cluster in sorted(clusters):
        portolan("export", "--state", "any", "--out", f"out/{cluster}", "--cluster", cluster)


def test_the_same_files_again_change_nothing(portolan, tmp_path):
    """Nothing is counted twice, and no new version appears."""
    flows = write_flows(tmp_path / "flows.jsonl")
    portolan("ingest", flows)
    portolan("infer")
    before = run_json(portolan, "proposals")
    again = run_json(portolan, "ingest", flows)
    assert again["accepted"] == 0
    counts = run_json(portolan, "infer")
    assert (counts["new"], counts["changed"], counts["unchanged"]) == (0, 0, 5)
    after = run_json(portolan, "proposals")
    assert [one["version"] for one in after["proposals"]] == [1] * 5
    assert [one["manifest"] for one in after["proposals"]] == [one["manifest"] for one in before["proposals"]]


def test_the_list_of_proposals_keeps_its_contract(portolan, data):
    """Everything that DESIGN promises of the JSON is there."""
    found = run_json(portolan, "proposals", "--data-dir", data)
    assert set(found) == {"generated_at", "cluster", "window", "calibration", "proposals"}
    for proposal in found["proposals"]:
        assert set(proposal) >= {
            "key", "version", "state", "maturity", "namespace", "name", "subject", "rules",
            "quarantine", "completeness", "backtest", "manifest",
        }  # fmt: skip
        for rule in proposal["rules"]:
            assert set(rule) >= {
                "id", "path", "direction", "peer", "ports", "p_need", "p_legit", "confidence",
                "evidence", "reasons", "flags",
            }  # fmt: skip
            assert rule["confidence"] is None
    as_yaml = portolan("proposals", "--format", "yaml", "--data-dir", data).stdout
    assert yaml.safe_load(as_yaml)["proposals"][0]["key"] == found["proposals"][0]["key"]


def test_only_what_is_approved_is_exported(portolan, data, tmp_path):
    """approve, export, reopen, export: the folder follows the decisions and nothing else is touched."""
    out = tmp_path / "out"
    portolan("export", "--out", out, "--data-dir", data)
    assert not list(out.rglob("*.yaml"))
    (out / "notes.yaml").write_text("mine", encoding="utf-8")
    portolan("review", "shop/db", "approve", "--reviewer", "ana", "--data-dir", data)
    portolan("export", "--out", out, "--data-dir", data)
    written = [path for path in out.rglob("*.yaml") if path.name != "notes.yaml"]
    assert len(written) == 1
    first = written[0].read_bytes()
    portolan("infer", "--data-dir", data)
    portolan("export", "--out", out, "--data-dir", data)
    assert written[0].read_bytes() == first
    portolan("review", "shop/db", "reopen", "--data-dir", data)
    portolan("export", "--out", out, "--data-dir", data)
    assert [path.name for path in out.rglob("*.yaml")] == ["notes.yaml"]


def test_a_rejected_rule_does_not_come_back(portolan, data):
    """It is out of the manifest at once and after the next run, and it is listed."""
    key = key_of(portolan, data, "api")
    shown = run_json(portolan, "show", key, "--data-dir", data)
    rule = next(rule for rule in shown["rules"] if rule["peer"].get("workload", "").endswith("db"))
    refused = portolan("review", key, "reject", "--rule", rule["id"], "--data-dir", data, code=2)
    assert "reason" in refused.stderr
    portolan("review", key, "reject", "--rule", rule["id"], "--reason", "no", "--data-dir", data)
    for _ in range(2):
        now = run_json(portolan, "show", key, "--data-dir", data)
        assert "5432" not in json.dumps(now["manifest"])
        assert [one["id"] for one in now["rejected_rules"]] == [rule["id"]]
        assert now["version"] == 1
        portolan("infer", "--data-dir", data)
    portolan("review", key, "reopen", "--rule", rule["id"], "--data-dir", data)
    portolan("infer", "--data-dir", data)
    assert "5432" in json.dumps(run_json(portolan, "show", key, "--data-dir", data)["manifest"])


def test_new_traffic_makes_a_version_that_waits_beside_the_approved_one(portolan, data, tmp_path):
    """What was approved stays in force until somebody approves the change."""
    portolan("review", "shop/web", "approve", "--data-dir", data)
    more = write_flows(tmp_path / "more.jsonl", edges=(*EDGES, ("web-0", "db-0", 5432, "TCP")), days=4)
    portolan("ingest", more, "--data-dir", data)
    assert run_json(portolan, "infer", "--data-dir", data)["changed"] == 2
    now = run_json(portolan, "show", "shop/web", "--data-dir", data)
    assert (now["state"], now["version"], now["approved_version"]) == ("changed", 2, 1)
    portolan("export", "--out", tmp_path / "out", "--data-dir", data)
    text = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "out").rglob("*.yaml"))
    assert "8080" in text
    assert "5432" not in text


def test_an_export_replaces_nothing_it_did_not_write(portolan, data, tmp_path):
    """An edited file stops the export before anything is written."""
    out = tmp_path / "out"
    portolan("export", "--state", "any", "--out", out, "--data-dir", data)
    edited = min(out.rglob("*.cilium.yaml"))
    edited.write_text("mine", encoding="utf-8")
    refused = portolan("export", "--state", "any", "--out", out, "--data-dir", data, code=1)
    assert "edited" in refused.stderr
    assert edited.read_text(encoding="utf-8") == "mine"
    portolan("export", "--state", "any", "--out", out, "--overwrite", "--data-dir", data)
    assert edited.read_text(encoding="utf-8") != "mine"


def test_kubernetes_manifests_say_what_they_cannot_say(portolan, data, tmp_path):
    """NetworkPolicy for clusters that want it."""
    portolan("export", "--state", "any", "--kind", "kubernetes", "--out", tmp_path / "np", "--data-dir", data)
    manifests = [yaml.safe_load(path.read_text("utf-8")) for path in (tmp_path / "np").rglob("*.yaml")]
    assert {manifest["kind"] for manifest in manifests} == {"NetworkPolicy"}


def test_shadow_needs_a_cluster_that_knows_it(portolan, data, tmp_path):
    """An older Cilium would ignore the switch and enforce."""
    arguments = ("export", "--state", "any", "--mode", "shadow", "--out", tmp_path / "s", "--data-dir", data)
    assert "1.16" in portolan(*arguments, code=1).stderr
    portolan(*arguments, env={"PORTOLAN_CAPABILITIES__CILIUM_VERSION": "1.17"})
    manifest = yaml.safe_load(min((tmp_path / "s").rglob("*.cilium.yaml")).read_text("utf-8"))
    assert set(manifest["spec"]["enableDefaultDeny"].values()) == {False}


def test_mistakes_are_one_line_and_exit_2(portolan, tmp_path):
    """No traceback, whatever is wrong with the call."""
    for arguments, part in (
        (("ingest", "nowhere.jsonl"), "nowhere.jsonl"),
        (("show", "nothing"), "nothing"),
        (("proposals", "--config", "gone.yaml"), "gone.yaml"),
        (("infer", "--window", "soon"), "soon"),
        (("infer", "--as-of", "yesterday"), "yesterday"),
        (("pull",), "sources"),
        (("serve", "--host", "0.0.0.0"), "allow_non_loopback"),
    ):
        done = portolan(*arguments, code=2)
        assert done.stdout == ""
        assert part in done.stderr
        assert len([line for line in done.stderr.splitlines() if line.startswith("error: ")]) == 1
    assert "No such command" in portolan("fly", code=2).stderr
    (tmp_path / "portolan.yaml").write_text("windw: 1d", encoding="utf-8")
    assert "'window'" in portolan("proposals", code=2).stderr


def test_an_ingest_that_takes_nothing_says_why(portolan, tmp_path):
    """An empty folder, and a file of something else."""
    (tmp_path / "empty").mkdir()
    assert run_json(portolan, "ingest", "empty")["warnings"] == [
        "there is no file in what was named: nothing was read"
    ]
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n", encoding="utf-8")
    (warning,) = run_json(portolan, "ingest", "hosts")["warnings"]
    assert warning.startswith("nothing of this could be used: is it Hubble JSON?")


def test_a_replay_of_a_window_without_flows_is_a_failure(portolan, data, tmp_path):
    """That nothing would be denied then is no answer, and no gate for a change may take it for one."""
    policies = tmp_path / "out"
    portolan("export", "--state", "any", "--out", policies, "--data-dir", data)
    done = portolan("simulate", "--policies", policies, "--as-of", "2020-01-01", "--data-dir", data, code=1)
    assert "no flow of cluster default lies between" in done.stderr


def test_nothing_observed_is_a_failure_that_says_so(portolan):
    """Too little seen is no proposal, and no success."""
    assert "nothing was observed" in portolan("infer", code=1).stderr


def test_a_window_without_flows_is_an_error_and_withdraws_nothing(portolan, data):
    """Silence is not absence: what was proposed stays, and the run is on record as having done nothing."""
    before = run_json(portolan, "proposals", "--data-dir", data)["proposals"]
    done = portolan("infer", "--as-of", "2020-01-01", "--data-dir", data, code=1)
    assert "no flow of cluster default lies between 2019-12-18 00:00 and 2020-01-01 00:00 UTC" in done.stderr
    assert run_json(portolan, "proposals", "--data-dir", data)["proposals"] == before
    mistyped = portolan("infer", "--namespace", "shopp", "--data-dir", data, code=2)
    assert "namespace 'shopp' was not observed; there are kube-system, shop" in mistyped.stderr


def test_an_inference_that_proposes_nothing_says_why(portolan, tmp_path):
    """On the terminal and in what is kept of the run."""
    refused = [one for one in flows(days=1) if not one["flow"]["is_reply"]]
    for one in refused:
        one["flow"] |= {"verdict": "DROPPED", "drop_reason_desc": "POLICY_DENIED"}
    (tmp_path / "refused.jsonl").write_text("".join(json.dumps(one) + "\n" for one in refused))
    portolan("ingest", "refused.jsonl")
    counts = run_json(portolan, "infer")
    note, unscreened = counts["notes"]
    assert counts["proposals"] == 0
    assert "nothing was screened" in unscreened
    assert "none of its 5 workloads gets a policy: nothing was forwarded, only refused or dropped" in note
    assert "Policy refused every attempt" in note
    (window,) = counts["windows"]
    assert (window["end"], window["without_proposal"]) == ("2026-03-03T00:00:00+00:00", 5)
    done = portolan("infer")
    assert f"note: {note}" in done.stderr
    asked = portolan("show", "shop/db", code=2)
    assert "no policy is proposed for shop/db: Stays open: no incoming traffic was observed" in asked.stderr
    assert "default: 2026-02-17T00:00 to 2026-03-03T00:00 UTC" in done.stdout


def test_one_flow_of_another_year_changes_no_proposal(portolan, data, tmp_path):
    """A node whose clock is wrong is told at ingest, at inference and by the doctor, and ends no window."""
    before = run_json(portolan, "infer", "--data-dir", data)
    odd = next(flows(days=1, start=START + timedelta(days=10_000)))
    odd["node_name"] = odd["flow"]["node_name"] = "node-7"
    odd["flow"]["uuid"] = "00000000-0000-4000-8000-00000000abcd"
    (tmp_path / "odd.jsonl").write_text(json.dumps(odd) + "\n", encoding="utf-8")
    (told,) = run_json(portolan, "ingest", tmp_path / "odd.jsonl", "--data-dir", data)["warnings"]
    assert told.startswith("1 flow of node-7 dated 2053-07-18 00:00 UTC")
    after = run_json(portolan, "infer", "--data-dir", data)
    assert (after["unchanged"], after["withdrawn"]) == (5, 0)
    assert after["notes"] == [told, *before["notes"]]
    assert after["windows"] == before["windows"]
    found = {one["subject"]: one for one in run_json(portolan, "doctor", "--data-dir", data)["findings"]}
    assert found["clocks of default"] == {"subject": "clocks of default", "status": "note", "detail": told}


def test_doctor_says_what_is_missing_and_what_is_broken(portolan, data, tmp_path):
    """A new installation, a working one, and a source that is not there."""
    found = {one["subject"]: one for one in run_json(portolan, "doctor")["findings"]}
    assert found["observations"]["status"] == "note"
    found = {one["subject"]: one for one in run_json(portolan, "doctor", "--data-dir", data)["findings"]}
    assert found["database"]["status"] == found["observations"]["status"] == "ok"
    assert "5 proposed" in found["proposals"]["detail"]
    text = "sources: [{name: a, paths: [gone]}]\ndrift: {policies: [gone]}\ncron_jobs: {paths: [.]}\n"
    (tmp_path / "portolan.yaml").write_text(text, encoding="utf-8")
    found = {one["subject"]: one for one in run_json(portolan, "doctor", code=1)["findings"]}
    assert found["source a"]["status"] == found["drift.policies"]["status"] == "bad"
    assert found["cron_jobs.paths"]["status"] == "ok"


def test_hostile_names_are_shown_and_never_obeyed(portolan, tmp_path):
    """Escape sequences, markup and line breaks in a flow reach neither terminal nor log."""
    hostile = "evil\x1b]0;owned\x07[bold]\nerror: fake\u202e"
    flows = write_flows(tmp_path / "flows.jsonl").read_text(encoding="utf-8").splitlines()
    changed = [json.loads(line) for line in flows]
    for record in changed:
        for end in ("source", "destination"):
            for workload in record["flow"][end]["workloads"]:
                workload["name"] = hostile
    text = "".join(json.dumps(record) + "\n" for record in changed)
    (tmp_path / "flows.jsonl").write_text(text, encoding="utf-8")
    output = ""
    for arguments in (("ingest", tmp_path / "flows.jsonl"), ("infer",), ("proposals",)):
        done = portolan(*arguments)
        output += done.stdout + done.stderr
    key = run_json(portolan, "proposals")["proposals"][0]["key"]
    output += portolan("show", key).stdout
    assert "\x1b" not in output
    assert "\x07" not in output
    assert "\u202e" not in output
    assert not any(line.startswith("error: fake") for line in output.splitlines())


def test_a_reader_that_leaves_early_gets_no_complaint(learned):
    """Such as head, which closes the pipe."""
    command = f"{PROGRAM} proposals --format json --data-dir {learned} | head -c 1"
    done = subprocess.run(
        command, shell=True, env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "{"
    assert done.stderr == ""


def test_ctrl_c_ends_a_follow_quietly(portolan, tmp_path):
    """An interrupt is not an error of ours."""
    write_flows(tmp_path / "flows.jsonl", days=1)
    (tmp_path / "portolan.yaml").write_text(
        "sources: [{name: shop, paths: [flows.jsonl], interval: 1s}]", encoding="utf-8"
    )
    with subprocess.Popen(
        [PROGRAM, "pull", "--follow"], cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stderr:
            if "pull.done" in line:
                break
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=60)[1]
        assert process.returncode == 130
        assert "Traceback" not in rest


def test_a_pull_reads_what_was_added_since(portolan, tmp_path):
    """A folder that keeps being written to is read from where the last pull ended."""
    (tmp_path / "flows").mkdir()
    write_flows(tmp_path / "flows" / "a.jsonl", days=1)
    (tmp_path / "portolan.yaml").write_text("sources: [{name: shop, paths: [flows]}]", encoding="utf-8")
    first = run_json(portolan, "pull")["sources"][0]
    assert first["accepted"] == 24 * len(EDGES) * 2
    write_flows(tmp_path / "flows" / "a.jsonl", days=2)
    second = run_json(portolan, "pull", "shop")["sources"][0]
    assert second["accepted"] == 24 * len(EDGES) * 2
    assert run_json(portolan, "pull")["sources"][0]["accepted"] == 0


def test_maintenance_changes_no_proposal(portolan, data):
    """Compaction is invisible."""
    before = run_json(portolan, "proposals", "--data-dir", data)["proposals"]
    portolan("maintain", "compact", "--data-dir", data)
    portolan("infer", "--data-dir", data)
    assert run_json(portolan, "proposals", "--data-dir", data)["proposals"] == before


def test_flows_come_through_a_pipe(portolan, tmp_path):
    """Such as the output of hubble observe."""
    text = write_flows(tmp_path / "f.jsonl", days=1).read_text(encoding="utf-8")
    assert run_json(portolan, "ingest", "-", input=text)["accepted"] == 24 * len(EDGES) * 2


def test_a_terminal_shows_progress_and_a_pipe_shows_log_lines(portolan, tmp_path):
    """The same command, for people and for machines."""
    flows = write_flows(tmp_path / "f.jsonl", days=1)
    piped = portolan("ingest", flows, "--log-format", "json").stderr
    assert {json.loads(line)["event"] for line in piped.splitlines()} >= {"ingest.started", "ingest.done"}
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [PROGRAM, "ingest", str(flows), "--data-dir", "other"],
        cwd=tmp_path,
        env=environment(TERM="xterm"),
        stdout=subprocess.DEVNULL,
        stderr=follower,
    ) as process:
        os.close(follower)
        seen = b""
        while True:
            try:
                block = os.read(leader, 65536)
            except OSError:
                break
            if not block:
                break
            seen += block
    os.close(leader)
    assert process.returncode == 0
    assert b"ingest" in seen
    assert b"\x1b[" in seen


def test_exported_policies_admit_what_they_were_learned_from(portolan, data, tmp_path):
    """Simulate judges the flows with the exported files, and says which rule decides."""
    flows = write_flows(tmp_path / "flows.jsonl", days=1)
    portolan("export", "--state", "any", "--out", tmp_path / "out", "--data-dir", data)
    arguments = ("simulate", "--policies", tmp_path / "out", "--flows", flows)
    answers = [json.loads(line) for line in portolan(*arguments, "--format", "jsonl").stdout.splitlines()]
    assert len(answers) == 24 * len(EDGES) * 2
    judged = [answer for answer in answers if answer["verdict"] != "skipped"]
    assert {answer["verdict"] for answer in judged} == {"allow"}
    assert all(answer["rules"] for answer in judged)
    assert "0 denied" in portolan(*arguments).stdout
    assert "--cases" in portolan("simulate", code=2).stderr
