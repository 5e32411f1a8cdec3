"""Codes for traffic that no rule allows, each with the sentence a reviewer reads."""

from types import MappingProxyType
from typing import Final

#: Reason code to sentence. Never an allow rule from any of these.
WHY: Final = MappingProxyType(
    {
        "unanswered": "Nothing ever answered, though a reply would have shown: closed port or scan.",
        "denied": "Policy refused every attempt; a refusal is never a reason to allow.",
        "dropped": "The datapath dropped every attempt for a reason that no policy can mend.",
        "l7_refused": "The proxy refused every request; layer 4 is allowed by a policy that exists already.",
        "no_request": "Only replies or records without a verdict were seen.",
        "multicast": "Multicast or broadcast; policy does not select it.",
        "link_local": "A link-local or loopback address that is no resolver and no metadata service.",
        "unresolved": "Nothing says what the other side is, usually a pod that just started or stopped.",
        "service_address": "A service address before translation; policy sees its backends instead.",
        "address_unknown": "Outside traffic whose address the records lack; a live stream would show it.",
        "health": "Cilium's own health checks need no rule.",
        "unmanaged_peer": "The other pod is not managed by Cilium; restart it so that it gets an identity.",
        "initialising_peer": "The other pod had no labels yet; it is seen again under its own identity.",
        "stale_peer": "The other workload fell silent long before the window ended; it may be gone for good.",
        "unknown_entity": "An entity that the policy schema does not know.",
        "implicit_host": "From the pod's own node (probes): allowed without a rule.",
        "icmp_reply": "ICMP replies and errors belong to what caused them and need no rule.",
        "unsupported_protocol": "A protocol without ports that policy cannot select.",
        "ambiguous_direction": "The records do not say which of the two sides called, and ports do not tell.",
        "no_port": "No port is known, as in fragments; a rule would open all of them.",
        "http_unwritable": "No rule can hold this method or path, so the list of the rule refuses it.",
        "untold_let_through": "Nobody can say who called whom; a rule lets it through all the same.",
        "direction_open": "This direction stays open, so nothing has to be allowed.",
        "rejected": "A reviewer rejected this rule.",
        "quarantined": "Held back because it looks odd; a person decides (see the quarantine).",
        "reviewed_unwanted": "A reviewer confirmed that this is unwanted.",
        "subject_gone": "The workload fell silent long before the window ended; it gets no policy.",
        "subject_no_selector": "No stable label selects these pods, so no policy can be written for them.",
        "subject_other_cluster": "The pod belongs to another cluster, which has its own policies.",
        "subject_not_a_pod": "Host network, node or outside: no pod policy selects it.",
        "subject_unknown": "The records do not say which labels the pod had.",
        "namespace_excluded": "Another namespace than the one asked for.",
    }
)

#: Traffic of these classes worked and makes no ordinary rule; if it is persistent, enforcing its direction
#: would break it, so the direction stays open unless `models.synthesis.untold` finds a rule for it.
INEXPRESSIBLE: Final = frozenset(
    {
        "address_unknown",
        "ambiguous_direction",
        "no_port",
        "no_request",
        "service_address",
        "unmanaged_peer",
        "unresolved",
        "unsupported_protocol",
    }
)
#: Nobody can say who is at the other end or who called, but a rule for the port lets it through.
UNTOLD: Final = "untold_let_through"
#: One address alone that outside traffic hides behind is enough: there is no telling how much is behind it.
ALWAYS_BLOCKING: Final = frozenset({"address_unknown"})
#: Classes that work without any rule.
NEEDS_NO_RULE: Final = frozenset({"implicit_host", "icmp_reply", "health", "multicast"})
#: Classes that a person decides on: nothing that is opened for others may let them in.
HELD_BACK: Final = frozenset({"quarantined", "reviewed_unwanted"})
