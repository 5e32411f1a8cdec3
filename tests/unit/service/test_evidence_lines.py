"""What a proposal opens, lets pass and weighs, in words: the numbers of its contract form."""

from dataclasses import replace

import pytest

from models.domain.confidence import Completeness, Confidence
from models.domain.http import HttpTemplate
from models.domain.proposal_json import proposal_from_json, proposal_to_json
from models.domain.rule import Widening
from service.proposals.evidence import evidence_line, http_lines, objective_line, posture_line, widening_lines
from tests.unit.service.proposals import proposal, rule


def weighed(*, expected=0.25, p_legit=0.75):
    """Contract form of a proposal with two rules, of which one opens more than was seen."""
    wide = replace(
        rule(),
        widening=(Widening("role", "saas-api", 3, pairs=2, openings=1.0, rules=2.0),),
        confidence=Confidence(p_legit=p_legit),
        http=(HttpTemplate("GET", r"^/orders(\?.*)?$", 1, 14, 1400), HttpTemplate("POST", "", 34, 3, 99)),
    )
    made = proposal(wide, replace(rule("db", 5432), confidence=Confidence(p_legit=p_legit)))
    egress = replace(made.egress, completeness=Completeness(expected=expected))
    return proposal_to_json(replace(made, egress=egress))


def test_a_proposal_shows_the_terms_it_weighed():
    """Openings, rules, denials and doubts; a direction that stays open denies nothing and is not asked."""
    found = weighed()
    assert found["objective"] == {"openings": 1.0, "rules": 2, "expected_denials_7d": 0.25, "doubts": 0.5}
    assert objective_line(found) == (
        "2 rules, openings worth +1.00 rules against exact ones, 0.25 legitimate denials expected in 7 days, "
        "0.50 unwanted rules expected"
    )


def test_a_posture_is_an_exchange_rate_in_words():
    """With the numbers that inference takes; an old form has none."""
    made = replace(proposal(rule()), posture="balanced")
    assert posture_line(proposal_to_json(made)) == (
        "balanced: up to 32 pairs inside the cluster are opened to avoid one expected denial there; outside, one "
        "is worth 8 rules"
    )
    assert proposal_from_json(proposal_to_json(made)) == made
    assert posture_line({}) == posture_line(proposal_to_json(proposal(rule()))) == ""


def test_what_was_not_estimated_is_unknown_and_never_zero():
    """Too little seen, or an old form without the terms."""
    found = weighed(expected=None, p_legit=None)
    assert (found["objective"]["expected_denials_7d"], found["objective"]["doubts"]) == (None, None)
    assert objective_line(found).count("an unknown number of") == 2
    assert objective_line({}) == ""


def test_a_rule_says_what_it_opens_and_what_passes():
    """With the terms of the objective that spoke for it."""
    (wide,) = [one for one in weighed()["rules"] if one["widening"]]
    (line,) = widening_lines(wide)
    assert line == (
        "role saas-api stands for 3 that were seen and opens 2 identity and port pairs beyond; "
        "objective -1.00 (openings +1.00, rules -2.00, denials +0.00)"
    )
    assert http_lines(wide) == [
        r"GET ^/orders(\?.*)?$: 1 path, 1,400 requests on 14 days",
        "POST (any path): 34 paths, 99 requests on 3 days",
    ]
    assert http_lines({}) == widening_lines({}) == []


@pytest.mark.parametrize(
    ("kind", "what", "opened"),
    [
        ("route", "GET ^/orders/[0-9]+$", "every other path of this form, which nobody can count,"),
        ("pattern", "*.example.com", "every other name of this pattern, which nobody can count,"),
        ("prefix", "192.0.2.0/24", "200 unseen addresses or ports"),
    ],
)
def test_what_nobody_can_count_is_not_nothing(kind, what, opened):
    """Null in the contract form, and in words what it is; and the store gives back what it got."""
    wide = Widening(kind, what, 56, unseen=200 if kind == "prefix" else 0)
    form = proposal_to_json(proposal(replace(rule(), widening=(wide,))))
    (found,) = form["rules"]
    assert found["widening"][0]["unseen"] == (200 if kind == "prefix" else None)
    assert widening_lines(found)[0].startswith(
        f"{kind} {what} stands for 56 that were seen and opens {opened} beyond; "
    )
    assert proposal_from_json(form).rules[0].widening == (wide,)


@pytest.mark.parametrize(("hours", "said"), [(336, True), (0, False)])
def test_hours_and_pods_that_no_record_tells_are_not_said_to_be_none(hours, said):
    """Of traffic whose ends nobody knows days and flows are known, and nothing else."""
    evidence = weighed()["rules"][0]["evidence"] | {"hours_seen": hours}
    line = evidence_line(evidence)
    assert ("hours" in line) == said
    assert ("client and" in line) == said
    assert "flows" in line


def test_one_pair_is_one_pair():
    """And two are two."""
    lines = [
        widening_lines({"widening": [Widening("role", "web", 1, pairs=n, openings=0.5).to_json()]})
        for n in (1, 2)
    ]
    assert [
        " 1 identity and port pair beyond" in lines[0][0],
        " 2 identity and port pairs beyond" in lines[1][0],
    ] == [
        True,
        True,
    ]


def test_what_nothing_was_weighed_against_says_so():
    """A port that is open to anyone has no price: a list of nobody would deny what works."""
    widened = {"widening": [Widening("world", "anyone", covers=2).to_json()]}
    (line,) = widening_lines(widened)
    assert line == (
        "world anyone stands for 2 that were seen and opens every other peer, wherever it is, which nobody can "
        "count, beyond; not weighed against anything, for no narrower rule lets it through"
    )
