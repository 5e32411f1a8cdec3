"""Proposals, decisions, runs and leases: the same on SQLite and on PostgreSQL."""

import os
import re
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import make_url, text

from models.domain.proposal import Assumption
from models.errors import BadInputError, ConflictError, NotFoundError
from service.db.engine import database_url, make_engine
from service.db.migrate import upgrade
from service.db.sessions import Database
from service.db.tables import Row
from service.errors import PreconditionFailedError
from service.export.manifests import Target
from service.export.service import collect
from service.proposals import recording, repository, service, views
from service.proposals.repository import ProposalFilter
from service.proposals.service import DecisionRequest
from service.review.transitions import ProposalState, Verb
from service.runs.repository import DatabaseLeases, DatabaseRunLog, list_runs
from service.settings import DatabaseSettings
from tests.unit.service.proposals import KEY, proposal, rule

NOW = datetime(2026, 3, 15, 2, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SERVER = "PORTOLAN_TEST_POSTGRES"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request, tmp_path):
    """A new database at the newest revision."""
    if request.param == "sqlite":
        made = Database(make_engine(database_url(DatabaseSettings(), tmp_path)))
    else:
        if SERVER not in os.environ:
            pytest.skip(f"{SERVER} names no server")
        made = Database(make_engine(make_url(os.environ[SERVER])))
        with made.engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
    upgrade(made.engine)
    yield made
    made.close()


def record(database, *proposals, day=0, namespace=None):
    """Keep what a run of this day proposed."""
    with database.write() as session:
        return recording.record(
            session, proposals, cluster="c", namespace=namespace, run_id=f"run{day}", now=NOW + day * DAY
        )


def say(verb, reason="because", **more):
    """A decision of Ana's."""
    return DecisionRequest(verb, "ana", reason, **more)


def decide(database, verb, rule_id=None, if_match=None, **more):
    """Send it."""
    with database.write() as session:
        if rule_id:
            service.decide_rule(session, KEY, rule_id, say(verb, **more), now=NOW, if_match=if_match)
        else:
            service.decide_proposal(session, KEY, say(verb, **more), now=NOW, if_match=if_match)


def detail(database, version=None):
    """Proposal as everybody sees it."""
    with database.read() as session:
        return views.detail(session, service.get(session, KEY), version)


def exported(database, *, approved_only=True):
    """Rules that an export would write."""
    with database.read() as session:
        found = service.exportable(session, service.get(session, KEY), approved_only=approved_only)
        return None if found is None else found.include


def test_migrations_make_the_tables_of_the_models(database):
    """On both."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Row.metadata) == []


def test_a_version_appears_only_when_the_meaning_changed(database):
    """New evidence for the same rules replaces the old evidence and nothing else."""
    record(database, proposal(rule()))
    assert record(database, proposal(rule()), day=1).unchanged == 1
    assert detail(database)["version"] == 1
    assert record(database, proposal(rule(), rule("db", 5432)), day=2).changed == 1
    found = detail(database)
    assert (found["version"], found["state"], len(found["rules"])) == (2, "proposed", 2)
    assert len(detail(database, 1)["rules"]) == 1
    with database.read() as session:
        assert [row[0] for row in repository.versions_of(session, KEY)] == [2, 1]


def test_many_proposals_are_kept_as_one_by_one(database, monkeypatch):
    """Whatever lands in one batch: new ones, changed ones, unchanged ones; each with its own version."""
    monkeypatch.setattr(recording, "AT_ONCE", 2)
    some = [replace(proposal(rule()), key=f"{KEY}-{number}", name=f"web-{number}") for number in range(5)]
    assert record(database, *some[:3]).new == 3
    other = replace(some[0], rules=(rule(), rule("db", 5432)))
    found = record(database, other, *some[1:], day=1)
    assert (found.new, found.changed, found.unchanged, found.withdrawn) == (2, 1, 2, 0)
    with database.read() as session:
        for number, version in enumerate((2, 1, 1, 1, 1)):
            row = service.get(session, f"{KEY}-{number}")
            body = service.version_body(session, row)
            assert (row.current_version, body["name"]) == (version, f"web-{number}")
            assert len(body["rules"]) == row.rule_count == version


def test_decisions_stay_attached_to_a_rule_across_versions(database):
    """Tomorrow's run proposes the same rule: it is the same rule."""
    record(database, proposal(rule()))
    decide(database, Verb.APPROVE, rule().id)
    record(database, proposal(rule(), rule("db", 5432)), day=1)
    states = {one["id"]: one["decision"]["state"] for one in detail(database)["rules"]}
    assert states == {rule().id: "approved", rule("db", 5432).id: "undecided"}


def test_a_rejected_rule_is_told_to_the_next_run_and_makes_no_new_version(database):
    """The reviewer's own decision is no news to the reviewer."""
    record(database, proposal(rule(), rule("db", 5432)))
    decide(database, Verb.REJECT, rule("db", 5432).id)
    with database.read() as session:
        assert repository.rejected_rules(session, "c") == {rule("db", 5432).id}
        assert repository.rejected_rules(session, "other") == frozenset()
    assert "5432" not in str(detail(database)["manifest"])
    assert record(database, proposal(rule()), day=1).unchanged == 1
    found = detail(database)
    assert (found["version"], [one["title"] for one in found["rejected_rules"]]) == (
        1,
        [rule("db", 5432).title],
    )


def test_approval_freezes_what_is_exported(database):
    """Later versions, later rejections, later approvals of single rules."""
    record(database, proposal(rule(), rule("db", 5432)))
    assert exported(database) is None
    decide(database, Verb.APPROVE)
    assert exported(database) == {rule().id, rule("db", 5432).id}
    record(database, proposal(rule(), rule("db", 5432), rule("cache", 6379)), day=1)
    assert detail(database)["state"] == ProposalState.CHANGED
    assert exported(database) == exported(database, approved_only=False) == {rule().id, rule("db", 5432).id}
    decide(database, Verb.REJECT, rule("db", 5432).id)
    assert exported(database) == {rule().id}
    decide(database, Verb.APPROVE)
    assert exported(database) == {rule().id, rule("cache", 6379).id}
    decide(database, Verb.REOPEN)
    assert exported(database) is None


def test_what_is_in_force_and_is_proposed_again_needs_no_second_approval(database):
    """After another version in between; the record says so, and the files stay as they were."""
    flagged = rule(port=80, flagged=True)
    wide, narrow = proposal(rule(), flagged), proposal(rule())
    record(database, wide)
    decide(database, Verb.APPROVE, include_flagged=True)
    before = manifests(database)
    record(database, narrow, day=1)
    assert detail(database)["state"] == ProposalState.CHANGED
    record(database, replace(wide, effective_days=14.0), day=2)
    found = detail(database)
    assert (found["version"], found["state"], found["approved_version"]) == (3, "approved", 3)
    assert found["version_state"] == "approved"
    assert manifests(database) == before
    with database.read() as session:
        last = views.decision(repository.decisions_of(session, KEY)[-1])
    assert (last["version"], last["decision"], last["reviewer"]) == (3, "approve", "portolan")
    assert last["reason"] == "the same policy as version 1, which is in force"


def test_only_what_is_in_force_rule_by_rule_needs_no_second_approval(database):
    """A rule that was turned down when the rest was approved, or that is marked since, waits for a person."""
    other = rule("db", 5432)
    record(database, proposal(rule(), other))
    decide(database, Verb.REJECT, other.id)
    decide(database, Verb.APPROVE)
    record(database, proposal(rule("cache", 6379)), day=1)
    decide(database, Verb.REOPEN, other.id)
    record(database, proposal(rule(), other), day=2)
    assert detail(database)["state"] == ProposalState.CHANGED
    record(database, proposal(rule("cache", 6379)), day=3)
    record(database, proposal(replace(rule(), flags=("needs_review",))), day=4)
    assert detail(database)["state"] == ProposalState.CHANGED
    record(database, proposal(rule("cache", 6379)), day=5)
    record(database, proposal(rule()), day=6)
    assert (detail(database)["state"], exported(database)) == ("approved", {rule().id})


def test_flagged_rules_are_not_approved_in_passing(database):
    """Approving names them; a decision on each, or an explicit word with a reason, is needed."""
    flagged = rule(port=80, flagged=True)
    record(database, proposal(rule(), flagged))
    with pytest.raises(ConflictError, match=flagged.id):
        decide(database, Verb.APPROVE)
    with pytest.raises(BadInputError, match="reason"):
        decide(database, Verb.APPROVE, include_flagged=True, reason="")
    assert exported(database) is None
    decide(database, Verb.REJECT, flagged.id)
    decide(database, Verb.APPROVE)
    assert exported(database) == {rule().id}
    decide(database, Verb.APPROVE, flagged.id, reason="looked at it")
    assert exported(database) == {rule().id, flagged.id}


def test_what_is_proposed_no_more_is_withdrawn_unless_it_is_approved(database):
    """A run looks at its scope only, and never takes an approved policy out of force."""
    other = proposal(rule(key="b" * 16), key="b" * 16, namespace="other", name="portolan-x")
    record(database, proposal(rule()), other)
    assert record(database, proposal(rule()), day=1, namespace="shop").withdrawn == 0
    assert record(database, other, day=2).withdrawn == 1
    assert detail(database)["state"] == "withdrawn"
    record(database, proposal(rule()), other, day=3)
    decide(database, Verb.APPROVE)
    record(database, other, day=4)
    found = detail(database)
    assert (found["state"], found["withdrawn"]) == ("approved", True)
    assert exported(database) == {rule().id}


def test_an_edit_on_an_old_state_is_refused(database):
    """Also when it was a run that changed it."""
    record(database, proposal(rule()))
    with database.read() as session:
        tag = service.etag(service.get(session, KEY))
    record(database, proposal(rule()), day=1)
    with pytest.raises(PreconditionFailedError):
        decide(database, Verb.APPROVE, if_match=tag)


def test_a_decision_that_fails_leaves_no_trace(database):
    """Neither a state nor a line in the record."""
    record(database, proposal(rule()))
    with pytest.raises(NotFoundError):
        decide(database, Verb.REJECT, "no-such-rule")
    with pytest.raises(BadInputError, match="NUL"):
        decide(database, Verb.REJECT, reason="a\x00b")
    with database.read() as session:
        assert repository.decisions_of(session, KEY) == []


def test_two_reviewers_decide_one_after_the_other(database):
    """The second one sees what the first one did."""
    record(database, proposal(rule()))
    outcomes = []

    def approve():
        try:
            decide(database, Verb.APPROVE)
            outcomes.append("done")
        except ConflictError:
            outcomes.append("conflict")

    threads = [threading.Thread(target=approve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["conflict"] * 3 + ["done"]


def test_proposals_are_found_the_way_people_name_them(database):
    """Key, beginning of a key, name, workload, with or without the namespace."""
    record(database, proposal(rule()))
    with database.read() as session:
        for reference in (KEY, KEY[:6], "portolan-web", "web", "shop/web", "shop/portolan-web"):
            assert service.resolve(session, reference).key == KEY
        for reference in ("", "other/web", "we", "shop/", "%"):
            with pytest.raises((NotFoundError, BadInputError)):
                service.resolve(session, reference)
        for found, wanted in (
            (1, ProposalFilter(text="WEB")),
            (1, ProposalFilter(cluster="c", namespace="shop", state="proposed", maturity="maturing")),
            (0, ProposalFilter(text="%")),
            (0, ProposalFilter(text="_eb")),
        ):
            assert len(repository.list_proposals(session, wanted)) == found


def test_hostile_text_is_kept_as_it_is(database):
    """Quotes, markup, other scripts: data, in every column."""
    reason = "'; DROP TABLE proposals; -- <script>alert(1)</script> ąß漢 \u202e"
    record(database, proposal(rule()))
    decide(database, Verb.REJECT, reason=reason)
    with database.read() as session:
        assert repository.decisions_of(session, KEY)[0].reason == reason


def test_leases_and_runs_are_kept(database):
    """One holder, one record."""
    leases, log = DatabaseLeases(database), DatabaseRunLog(database)
    assert leases.acquire("infer", "a", now=NOW, length=DAY).granted
    refused = leases.acquire("infer", "b", now=NOW, length=DAY)
    assert (refused.granted, refused.other, refused.since) == (False, "a", NOW)
    assert not leases.renew("infer", "b", now=NOW, length=DAY)
    assert leases.acquire("infer", "b", now=NOW + DAY, length=DAY).other == "a"
    assert not leases.renew("infer", "a", now=NOW + DAY, length=DAY)
    leases.release("infer", "a")
    assert leases.renew("infer", "b", now=NOW + DAY, length=DAY)
    log.start(run_id="r1", kind="infer", trigger="cli", parameters={"n": None}, now=NOW)
    assert log.last_success("infer") is None
    log.finish("r1", outcome="done", counts={"rules": 2}, error=None, now=NOW + DAY)
    log.finish("r1", outcome="abandoned", counts={}, error="late", now=NOW + DAY)
    assert log.last_success("infer") == NOW
    log.start(run_id="r2", kind="infer", trigger="cli", parameters={}, now=NOW + DAY)
    log.finish("r2", outcome="nothing", counts={}, error="too little", now=NOW + DAY)
    assert (log.last_success("infer"), log.last_success("infer", ("done",))) == (NOW + DAY, NOW)
    with database.read() as session:
        _, row = list_runs(session)
        assert (row.outcome, row.counts, row.parameters) == ("done", {"rules": 2}, {"n": None})
        assert list_runs(session, before=(row.started_at, row.id)) == []


def test_many_take_one_lease(database):
    """The database decides, and says no to all but one."""
    leases = DatabaseLeases(database)
    barrier, granted = threading.Barrier(5), []

    def take(name):
        barrier.wait()
        granted.append(leases.acquire("x", name, now=NOW, length=DAY).granted)

    threads = [threading.Thread(target=take, args=(f"r{number}",)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(granted) == [False] * 4 + [True]


def manifests(database):
    """What an export of everything would write."""
    with database.read() as session:
        found = collect(session, cluster="c", approved_only=False, target=Target())
        return [(item.path, item.text) for item in found.objects]


def test_the_export_of_an_unchanged_proposal_is_the_same_bytes_every_night(database):
    """Newer evidence is shown to reviewers at once, and written to files when it says something new."""
    record(database, proposal(rule()))
    first = manifests(database)
    again = rule()
    again = replace(again, evidence=replace(again.evidence, days_seen=4, days_observed=4, flows=99))
    newer = replace(proposal(again), effective_days=13.9, observed_from_us=1_772_496_000_000_000)
    assert record(database, newer, day=1).unchanged == 1
    assert manifests(database) == first
    assert detail(database)["effective_days"] == 13.9
    record(database, replace(newer, maturity="stable", effective_days=14.0), day=2)
    assert "14.0 effective days; stable" in manifests(database)[0][1]


def test_a_file_says_what_is_assumed_today_of_what_was_approved_too(database):
    """Whoever configured the version does not read in the header that he did not, whatever is in force."""
    unknown = Assumption("cilium_version_unknown", "The Cilium version is not configured.")
    asked = Assumption("assumed_dns", "Every pod may ask the resolver.")
    before = replace(proposal(rule()), assumptions=(asked, unknown))
    record(database, before)
    first = manifests(database)
    assert "version is not configured" in first[0][1]
    after = replace(before, assumptions=(asked,))
    assert record(database, after, day=1).unchanged == 1
    assert "not configured" not in manifests(database)[0][1]
    assert "Every pod may ask" in manifests(database)[0][1]
    record(database, before, day=2)
    assert manifests(database) == first
    decide(database, Verb.APPROVE)
    record(database, after, day=3)
    assert "not configured" not in manifests(database)[0][1]
    other = replace(proposal(rule(port=9)), assumptions=())
    assert record(database, other, day=4).changed == 1
    [(_, approved)] = manifests(database)
    assert "8080" in approved
    assert "Every pod may ask" in approved  # it goes with the rules in force, not with the newer ones
    assert "not configured" not in approved


def test_what_a_reviewer_looked_at_is_not_called_unreviewed(database):
    """Flagged rules are named until each has a decision."""
    flagged = rule(port=80, flagged=True)
    record(database, proposal(rule(), flagged))
    target = Target()
    with database.read() as session:
        assert collect(session, cluster="c", approved_only=False, target=target).unreviewed
    decide(database, Verb.APPROVE, flagged.id, reason="looked at it")
    with database.read() as session:
        assert not collect(session, cluster="c", approved_only=False, target=target).unreviewed


def test_policies_of_several_clusters_are_kept_apart(database):
    """Nothing is configured and two clusters were observed: a folder each, whatever they are called."""
    names = ("west", "../../etc")
    for number, cluster in enumerate(names):
        key = str(number) * 16
        made = proposal(rule(key=key), key=key, cluster=cluster)
        with database.write() as session:
            recording.record(session, [made], cluster=cluster, namespace=None, run_id=None, now=NOW)
    with database.read() as session:
        with pytest.raises(BadInputError, match=f"{'0' * 16} .*/portolan-web of cluster west"):
            service.resolve(session, "shop/portolan-web")
        assert service.resolve(session, "0" * 16).cluster == "west"
        found = collect(session, cluster=None, approved_only=False, target=Target())
    assert found.clusters == tuple(sorted(names))
    odd, west = sorted(item.path for item in found.objects)
    assert west == "west/shop/portolan-web.cilium.yaml"
    assert re.fullmatch(r"cluster-[0-9a-f]{16}/shop/portolan-web\.cilium\.yaml", odd)
