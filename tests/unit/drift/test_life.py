"""The life of a finding: news once, and silence only where somebody asked for it."""

from datetime import UTC, datetime, timedelta

from models.domain.peer import FqdnPeer
from models.drift.finding import Finding, Kind, Severity, SubjectRef
from models.drift.life import MuteRule, State, acknowledge, missed, reopen, seen

NIGHT = datetime(2026, 3, 1, 3, tzinfo=UTC)


def at(night: int) -> datetime:
    return NIGHT + timedelta(days=night)


def finding(**changes) -> Finding:
    fields = {
        "kind": Kind.DENIED,
        "detector": "above_baseline",
        "severity": Severity.MEDIUM,
        "confidence": 0.9,
        "subject": SubjectRef("shop", "Deployment/web"),
        "why": "why",
        "peer": FqdnPeer("api.example.com"),
    }
    return Finding(**fields | changes)


def test_a_finding_is_news_once():
    """New tonight, known tomorrow."""
    first = seen(None, finding(), at(0), muted=False)
    assert (first.state, first.news) == (State.OPEN, "new")
    second = seen(first, finding(), at(1), muted=False)
    assert (second.state, second.news, second.reports) == (State.OPEN, "", 2)
    assert second.first_reported == at(0)


def test_what_is_gone_is_resolved_and_what_comes_back_has_regressed():
    """Resolved by itself, then news again."""
    gone = missed(seen(None, finding(), at(0), muted=False), Kind.DENIED, at(1), heard=True)
    assert (gone.state, gone.resolved_at) == (State.RESOLVED, at(1))
    assert missed(gone, Kind.DENIED, at(2), heard=True).resolved_at == at(1)
    back = seen(gone, finding(), at(3), muted=False)
    assert (back.state, back.news, back.resolved_at) == (State.REGRESSED, "back", None)


def test_a_deaf_night_resolves_nothing_but_what_policies_say():
    """Silence is not absence; a policy that was put right is read, not heard."""
    traffic = seen(None, finding(), at(0), muted=False)
    assert missed(traffic, Kind.DENIED, at(1), heard=False).state is State.OPEN
    assert missed(traffic, Kind.CHANGED, at(1), heard=False).state is State.RESOLVED


def test_an_acknowledgement_holds_until_its_date_or_until_it_gets_worse():
    """Quiet until then; due afterwards; a worse severity breaks it."""
    told = acknowledge(seen(None, finding(), at(0), muted=False), at(3))
    quiet = seen(told, finding(), at(2), muted=False)
    assert (quiet.state, quiet.news) == (State.ACKNOWLEDGED, "")
    due = seen(quiet, finding(), at(3), muted=False)
    assert (due.state, due.news) == (State.OPEN, "due")
    worse = seen(quiet, finding(severity=Severity.CRITICAL), at(2), muted=False)
    assert (worse.state, worse.news) == (State.OPEN, "worse")
    assert reopen(told).state is State.OPEN


def test_a_rule_of_silence_mutes_what_it_matches_until_it_ends():
    """Every pattern given has to match; without any it matches nothing."""
    rule = MuteRule(namespace="sh*", peer="fqdn:*.example.com", until=at(5))
    assert rule.matches(finding(), at(0))
    assert not rule.matches(finding(), at(5))
    assert not rule.matches(finding(subject=SubjectRef("bank", "")), at(0))
    assert not MuteRule().matches(finding(), at(0))
    muted = seen(None, finding(), at(0), muted=True)
    assert (muted.state, muted.news) == (State.MUTED, "")
    assert seen(muted, finding(), at(6), muted=False).news == "unmuted"


def test_the_key_is_what_a_finding_is_about_and_not_what_is_thought_of_it():
    """Denied yesterday and suspicious today is one matter; another port of the same peer too."""
    key = finding().key("prod")
    assert finding(kind=Kind.SUSPICIOUS, ports=(("TCP", 443),), detector="odd").key("prod") == key
    assert finding(peer=FqdnPeer("cdn.example.com")).key("prod") == key
    assert finding(peer=FqdnPeer("api.example.org")).key("prod") != key
    assert finding(direction="ingress").key("prod") != key
