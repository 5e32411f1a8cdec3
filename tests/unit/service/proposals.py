"""Small proposals to decide on."""

from models.domain.peer import CidrPeer, EndpointPeer, LabelSelector
from models.domain.proposal import DirectionDecision, Proposal, Subject
from models.domain.rule import Port, Rule, RuleEvidence, rule_id

KEY = "0123456789abcdef"


def rule(app="api", port=8080, *, flagged=False, key=KEY):
    """Egress to one workload, or to the metadata address when it is flagged."""
    peer = EndpointPeer("", "shop", (f"Deployment/{app}",), LabelSelector((("app", app),)))
    if flagged:
        peer = CidrPeer("169.254.169.254/32")
    ports = (Port("TCP", port),)
    return Rule(
        rule_id(key, "egress", peer, ports),
        "egress",
        peer,
        ports,
        RuleEvidence(days_seen=3, days_observed=3, flows=9, verdicts=(("forwarded", 9),), own_end=True),
        path="egress[0]",
        flags=("needs_review",) if flagged else (),
    )


def proposal(*rules, key=KEY, namespace="shop", name="portolan-web", cluster="c"):
    """Policy of ``web`` with these rules."""
    return Proposal(
        key=key,
        cluster=cluster,
        namespace=namespace,
        name=name,
        subject=Subject(LabelSelector((("app", "web"),)), ("Deployment/web",)),
        description="Allow-list of web.",
        rules=tuple(sorted(rules, key=lambda one: one.sort_key)),
        ingress=DirectionDecision(enforced=False, reason="nothing_observed", why="Nothing came in."),
        egress=DirectionDecision(enforced=True, reason="observed", why="All of it has a place."),
        left_out=(),
        maturity="maturing",
        observed_from_us=1_772_409_600_000_000,
        effective_days=13.0,
    )
