"""The fast evaluator means what the reference evaluator means."""

from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.agent import AgentConfig
from models.domain.policy import Direction
from models.manifest.parse import parse_objects
from models.simulation.compiled import ALLOW, NOT_KNOWN, VERDICTS, CompiledPolicies
from models.simulation.decision import IMPLICIT
from models.simulation.edges import EdgeTable
from models.simulation.verdict import evaluate
from tests.strategies_policy import flows, policy_objects

CONFIGS = st.builds(
    AgentConfig,
    cilium_version=st.sampled_from(("1.16", "1.17", "1.18", "1.19", "1.20")),
    dual_stack=st.booleans(),
    cidr_matches_nodes=st.booleans(),
    host_firewall=st.booleans(),
    enable_policy=st.sampled_from(("default", "default", "default", "always", "never")),
    allow_localhost=st.sampled_from(("always", "policy")),
)
FLAGS = {0: False, 1: True, NOT_KNOWN: None}


@settings(max_examples=100, deadline=None)
@given(
    policy_objects(),
    st.lists(st.one_of(flows(), flows(known=False)), min_size=1, max_size=12),
    CONFIGS,
    st.booleans(),
)
def test_fast_and_reference_evaluator_agree(objects, asked, config, complete) -> None:
    """Verdict, deciding entry, redirect and state of the gate are the same, edge by edge."""
    policies = parse_objects(objects, config=config, inventory_complete=complete)
    answers = CompiledPolicies(policies, config).evaluate(EdgeTable.of_flows(asked))
    for index, flow in enumerate(asked):
        expected = evaluate(policies, flow, config)
        found = VERDICTS[answers.verdict[index]]
        assert found is expected.verdict, (flow, expected.reason)
        assert bool(answers.redirect[index]) == expected.redirect
        if not expected.invalid:
            assert FLAGS[int(answers.enforcing[index])] is expected.enforcing
            assert FLAGS[int(answers.default_deny[index])] is expected.default_deny
        written = [rule for rule in expected.rules if rule.policy.kind != IMPLICIT]
        number = int(answers.entry[index])
        if not written:
            assert number == -1
        else:
            entry = policies.entries[number]
            assert any(
                rule.policy == entry.policy
                and rule.path.startswith(entry.path)
                and rule.denies == entry.denies
                for rule in written
            )


def test_an_empty_table_has_no_verdicts() -> None:
    """No edges, no answers, no error."""
    answers = CompiledPolicies(parse_objects([])).evaluate(EdgeTable.of_flows([]))
    assert len(answers.verdict) == 0


@given(st.lists(flows(), min_size=1, max_size=5))
def test_without_policies_nothing_is_closed(asked) -> None:
    """Only an endpoint that still initialises is enforced without a policy."""
    table = EdgeTable.of_flows(asked)
    newest = CompiledPolicies(parse_objects([])).evaluate(table)
    answers = CompiledPolicies(parse_objects([]), AgentConfig(cilium_version="1.19")).evaluate(table)
    for number, (flow, verdict, entry) in enumerate(zip(asked, answers.verdict, answers.entry, strict=True)):
        initialising = "reserved:init" in (flow.subject(flow.direction).labels or ())
        local = flow.direction is Direction.INGRESS and flow.source.entity == "host"
        assert (newest.verdict[number] == ALLOW) == (not initialising)
        assert (verdict == ALLOW) == (local or not initialising)
        assert entry == -1
