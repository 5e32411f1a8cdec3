"""Evidence of a rule, in a line that a person reads."""

from collections.abc import Mapping
from typing import Any


def evidence_line(evidence: Mapping[str, Any]) -> str:
    """Evidence of a rule in one line."""
    if evidence["assumed"]:
        return "not seen: assumed"
    answered = evidence["answered_share"]
    parts = [
        f"seen on {evidence['days_seen']} of {evidence['days_observed']} days",
        f"{evidence['hours_seen']} hours",
        f"{evidence['client_pods']} client and {evidence['server_pods']} server pods",
        f"{evidence['flows']:,} flows",
        "replies could not be seen" if answered is None else f"answered {answered:.0%}",
        f"last {evidence['last_seen']}",
    ]
    if not evidence["own_end"]:
        parts.append("seen at the other end only")
    return ", ".join(parts)
