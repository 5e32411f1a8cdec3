"""``portolan export``: what it says when it writes nothing, and of a release that was configured since."""

from dataclasses import replace

import pytest

from models.domain.capabilities import CapabilityHints, resolve_capabilities
from service.cli import run
from service.configfile import load_settings
from service.proposals import service
from service.proposals.recording import record
from service.proposals.service import DecisionRequest
from service.review.transitions import Verb
from service.wiring import open_portolan
from tests.contracts.test_review_state import NOW
from tests.unit.service.proposals import KEY, proposal, rule


@pytest.fixture
def command(tmp_path, monkeypatch, capfd):
    """Runs an export of one approved policy, made when nobody had configured a release; what it said."""
    monkeypatch.chdir(tmp_path)
    assumed = resolve_capabilities(CapabilityHints(), names_seen=True).assumptions
    with open_portolan(load_settings(data_dir=tmp_path / "data")) as portolan:
        with portolan.database.write() as session:
            one = replace(proposal(rule()), assumptions=assumed)
            record(session, [one], cluster="c", namespace=None, run_id=None, now=NOW)
        with portolan.database.write() as session:
            service.decide_proposal(session, KEY, DecisionRequest(Verb.APPROVE, "ana"), now=NOW)

    def call(*arguments, code=0):
        capfd.readouterr()
        assert run(["export", "--out", "out", "--data-dir", "data", *arguments]) == code
        return capfd.readouterr().err

    return call


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        (["--namespace", "nope"], "namespace nope"),
        (["--cluster", "other"], "cluster other"),
        (["--cluster", "other", "--namespace", "nope"], "namespace nope of cluster other"),
    ],
)
def test_a_scope_without_an_approved_policy_is_named(command, asked, where):
    """Elsewhere something is approved."""
    assert f"nothing is approved in {where}: " in command(*asked)


def test_what_cannot_be_written_is_not_called_unapproved(command):
    """Shadow mode needs a release, and that is all that is missing."""
    said = command("--mode", "shadow", code=1)
    assert "nothing is approved" not in said
    assert "not written: shop/portolan-web: shadow mode needs Cilium 1.16 or later" in said


def test_a_file_for_a_configured_release_does_not_say_that_none_is(command, tmp_path, monkeypatch):
    """Although nothing was inferred since; what is assumed otherwise stays."""
    assert command() == ""
    (path,) = (tmp_path / "out").rglob("*.yaml")
    assert "The Cilium version is not configured" in path.read_text("utf-8")
    monkeypatch.setenv("PORTOLAN_CAPABILITIES__CILIUM_VERSION", "1.17")
    for mode in ("shadow", "enforce"):
        assert command("--mode", mode) == ""
        text = path.read_text("utf-8")
        assert "The Cilium version is not configured" not in text
        assert "# Assumed: DNS names appear in the flows" in text
