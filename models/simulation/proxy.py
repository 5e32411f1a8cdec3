"""
Layer 7 of a gate: which of the matching entries restrict a request, and which lift the restriction.

HTTP rules count only if every matching allow has them; DNS rules look at entries of exactly this port
alone, so an entry without ports does *not* lift them: the opposite of HTTP.
"""

from collections.abc import Sequence

from models.domain.agent import AgentConfig
from models.domain.cidr import CidrSelector
from models.domain.policy import Entry, PortRule
from models.simulation.context import DnsQuestion, L7Request
from models.simulation.l7 import accepts
from models.simulation.matching import PortMatch, any_of


def judge_request(
    allows: Sequence[tuple[Entry, PortMatch]],
    unsure: Sequence[Entry],
    request: L7Request,
    config: AgentConfig,
    *,
    lifted: bool,
    default_deny: bool,
) -> tuple[bool | None, str]:
    """
    Whether the proxy lets a request pass, and why.

    Parameters
    ----------
    allows
        Allow entries that match on layers 3 and 4, with the port element that does.
    unsure
        Allow entries that may match.
    request
        The request.
    config
        Agent settings.
    lifted
        An implicit rule allows the flow (local host, absent default deny).
    default_deny
        The subject denies by default in this direction.

    Returns
    -------
    (bool or None, str)
        ``None`` when the request, or whether an entry matches, is not known well enough.
    """
    if isinstance(request, DnsQuestion):
        considered = [(entry, port) for entry, port in allows if port.exact]
        free = not default_deny
    else:
        considered = list(allows)
        free = lifted
    plain = [entry for entry, port in considered if port.rule is None or port.rule.l7 is None]
    if free or plain:
        who = str(plain[0].ref()) if plain else "an implicit rule"
        return True, f"a rule without layer 7 rules covers it: {who}"
    rules = [(entry, port.rule) for entry, port in considered if port.rule is not None]
    answers = [
        accepts(rule.l7, request, deep_wildcards=config.release.deep_wildcards)
        for _, rule in rules
        if rule.l7 is not None
    ]
    passed = any_of(answers)
    if passed:
        entry, rule = rules[answers.index(True)]
        return True, f"allowed by {entry.ref(rule)}"
    if unsure:
        return None, f"whether {unsure[0].ref()} applies is not known"
    if passed is None:
        return None, "the request, or the kind of layer 7 rule, is not known well enough"
    if not rules:
        return True, "no layer 7 rule is about this port"
    return False, f"no layer 7 rule accepts the request; {rules[0][0].ref(rules[0][1])} restricts it"


def conflict(collected: Sequence[Entry]) -> str:
    """
    Why Cilium could not compute this endpoint's policy; empty when it can.

    HTTP and DNS rules that meet on one port and peer make the calculation fail, and the endpoint
    keeps the policy it had before.
    """
    http: list[tuple[Entry, PortRule]] = []
    dns: list[tuple[Entry, PortRule]] = []
    for entry in collected:
        for rule in entry.ports or ():
            if rule.l7 is not None and rule.l7.http:
                http.append((entry, rule))
            if rule.l7 is not None and rule.l7.dns:
                dns.append((entry, rule))
    for one, one_rule in http:
        for other, other_rule in dns:
            if _same_port(one_rule, other_rule) and _share_peer(one, other):
                return (
                    f"HTTP rules ({one.ref(one_rule)}) and DNS rules ({other.ref(other_rule)}) meet on one "
                    "port and peer: the endpoint's policy cannot be computed and the old one stays"
                )
    return ""


def _same_port(one: PortRule, other: PortRule) -> bool:
    names = {name.name for name in one.named} & {name.name for name in other.named}
    return bool(names or set(one.ports) & set(other.ports))


def _share_peer(one: Entry, other: Entry) -> bool:
    if one.peers is None or other.peers is None:
        return one.peers is None and other.peers is None
    mine = {peer if not isinstance(peer, CidrSelector) else peer.prefix for peer in one.peers}
    theirs = {peer if not isinstance(peer, CidrSelector) else peer.prefix for peer in other.peers}
    return bool(mine & theirs)
