"""The whole way: worlds, proposals, judgement, table, page."""

import json

import pandas as pd
import pytest

import service.commands.evaluate as command
from jobs.evaluation.document import BEGIN, END, TITLE, figures_text, updated
from jobs.evaluation.parameters import world_list
from jobs.evaluation.proposers import Nights
from jobs.evaluation.protocol import Plan, Trial, evaluate, hints_of, run_plans, standard_plans
from jobs.evaluation.stability import measure_stability
from jobs.evaluation.summary import COLUMNS, summarise
from jobs.evaluation.tables import detail_tables, score_table
from jobs.evaluation.targets import ROWS
from jobs.evaluation.truth import LEGITIMATE
from jobs.propose import propose
from models.errors import BadInputError
from service.cli import run
from tests.unit.evaluation.small import SMALL, small_world


@pytest.fixture(scope="module")
def quick():
    return summarise(run_plans(standard_plans("quick")))


def figure(summary, metric, part="all", method="portolan"):
    rows = summary[(summary["metric"] == metric) & (summary["part"] == part) & (summary["method"] == method)]
    return rows.iloc[0]


def test_a_quick_run_gives_every_row_of_the_table(quick):
    """Rows are never left out, and the figures that matter are there for both proposers."""
    table = score_table(quick)
    assert [row[0] for row in table.rows] == [row.title for row in ROWS]
    assert all(len(row) == len(table.headers) and all(cell is not None for cell in row) for row in table.rows)
    for method in ("portolan", "exact allow-list"):
        assert figure(quick, "flows_denied_14", "all", method)["total"] > 10_000
        assert figure(quick, "attack_admitted", "all", method)["total"] > 50
    assert figure(quick, "reruns_differ")["total"] == 1


def test_what_was_seen_is_admitted_and_names_survive_rotation(quick):
    """The promise that comes first holds, and the exact allow-list breaks it."""
    assert figure(quick, "cells_denied_14", "seen")["hits"] == 0
    assert figure(quick, "replay_mismatches")["hits"] == 0
    assert figure(quick, "refused_manifests")["hits"] == 0
    ours, naive = (
        figure(quick, "flows_denied_14", "rotated address", m)["value"]
        for m in ("portolan", "exact allow-list")
    )
    assert ours < naive


def test_denials_of_the_classes_add_up_to_all(quick):
    """Every legitimate use is in exactly one truth class."""
    parts = [figure(quick, "flows_denied_14", truth) for truth in LEGITIMATE]
    everything = figure(quick, "flows_denied_14")
    assert sum(part["hits"] for part in parts) == everything["hits"]
    assert sum(part["total"] for part in parts) == everything["total"]


def test_the_same_plan_measures_the_same():
    """But for the seconds, two runs give equal figures, whatever the number of processes."""
    plans = [Plan(SMALL, (Trial("portolan", "balanced", 14),))] * 2
    first, second = run_plans(plans[:1]), run_plans(plans, workers=2)
    counts = [
        [count for count in one.measured.counts if count[0] != "seconds"] for one in (first[0], second[1])
    ]
    assert counts[0] == counts[1]


def test_evaluate_gives_a_frame_for_a_proposer_of_ones_own():
    """Whoever tunes passes a callable, worlds and a posture."""
    asked = []

    def watched(observations, **options):
        asked.append((len(observations.edge_days), options["posture"]))
        return propose(observations, **options)

    frame = evaluate(watched, [SMALL], "strict")
    assert list(frame.columns) == COLUMNS
    assert [posture for _, posture in asked] == ["strict"]


def test_quiet_nights_flip_few_unchanged_rules():
    """A rule comes or goes with what was observed of it, or because names became a pattern that night."""
    world = small_world(SMALL.quiet())
    measured = measure_stability(world, Nights(), "balanced", hints_of(world), nights=1)
    counts = {metric: (hits, total) for metric, _, hits, total in measured.counts}
    assert counts["unchanged_flips"][1] > 100
    assert counts["unchanged_flips"][0] < 0.05 * counts["unchanged_flips"][1]
    assert counts["pair_flips"][0] == 0
    assert counts["rule_changes"][1] > 100


def test_time_to_stable_is_told_by_windows_that_grow(quick):
    """After two and after three weeks, of some hundred rules each, and hardly one comes or goes."""
    for days in ("14", "21"):
        settling = figure(quick, "settling", days)
        assert settling["total"] > 100
        assert settling["value"] < 0.03


def test_every_posture_has_its_denials_by_class_and_attacks_by_family(quick):
    """Postures beside the default have tables of their own, and a quick run, without them, has none."""
    assert not any("postures" in table.title for table in detail_tables(quick))
    strict = quick[quick["method"] == "portolan"].assign(posture="strict")
    tables = {table.title: table for table in detail_tables(pd.concat([quick, strict]))}
    for title in ("Legitimate traffic denied in 14 days, by truth class", "Attacks by family"):
        ours, others = tables[title], tables[f"{title}, other postures"]
        assert others.headers[1].startswith("strict, 14 d: ")
        assert [row[:2] for row in others.rows] == [row[:2] for row in ours.rows]


def test_only_what_stands_between_the_markers_is_replaced(quick):
    """Words around the figures are the maintainers'."""
    figures = figures_text(quick, world_list("quick"), "quick")
    page = updated(None, figures)
    assert page.startswith(TITLE)
    edited = page.replace("# Evaluation", "# How good is it") + "\nA word at the end.\n"
    again = updated(edited, "new figures")
    assert again.startswith("# How good is it")
    assert again.endswith(f"new figures\n{END}\n\nA word at the end.\n")
    assert figures not in again
    with pytest.raises(BadInputError, match="markers"):
        updated(page.replace(BEGIN, ""), figures)


def test_the_command_prints_json_and_nothing_else(capfd, tmp_path):
    """A script can read it: no NaN, every row with its verdict."""
    assert (
        run(["evaluate", "--quick", "--workers", "1", "--format", "json", "--data-dir", str(tmp_path)]) == 0
    )
    printed = json.loads(capfd.readouterr().out)
    assert printed["worlds"] == "quick"
    assert {card["title"] for card in printed["scorecard"]} == {row.title for row in ROWS}
    assert all(row["method"] in ("portolan", "exact allow-list") for row in printed["figures"])


@pytest.mark.parametrize("arguments", [["--quick"], ["--worlds", "tune"]])
def test_only_reporting_worlds_are_written_down(arguments, monkeypatch, capfd, tmp_path):
    """The page never holds figures that were tuned on."""
    monkeypatch.setattr(command, "DOCUMENTS", tmp_path)
    assert run(["evaluate", *arguments, "--write", "--data-dir", str(tmp_path)]) == 2
    assert "reporting worlds" in capfd.readouterr().err
    assert not (tmp_path / "evaluation.md").exists()


def test_write_puts_the_figures_into_the_page(monkeypatch, capfd, tmp_path):
    """The page is made where there is none, and no half of it is left behind."""
    plans = [Plan(SMALL, (Trial("portolan", "balanced", 14),))]
    monkeypatch.setattr(command, "DOCUMENTS", tmp_path)
    monkeypatch.setattr(command, "standard_plans", lambda which: tuple(plans))
    assert (
        run(["evaluate", "--write", "--format", "markdown", "--workers", "1", "--data-dir", str(tmp_path)])
        == 0
    )
    page = (tmp_path / "evaluation.md").read_text(encoding="utf-8")
    assert page.startswith(TITLE)
    assert "Figures, floors and targets" in page
    assert [path.name for path in tmp_path.glob("evaluation*")] == ["evaluation.md"]
    assert "Figures, floors and targets" in capfd.readouterr().out
