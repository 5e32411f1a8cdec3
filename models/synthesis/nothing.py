"""Why a window gave no proposal at all, in words: an empty answer without a reason helps nobody."""

from collections import Counter
from collections.abc import Iterable, Mapping

from models.domain.proposal import LeftOut
from models.synthesis.draft import Unproposed
from models.synthesis.reasons import WHY

_SHOWN = 3  # reasons; the others are in the record of the inference
_OPEN = "No traffic that deserves a rule was seen in either direction, so both stay open."
_REFUSED = "A cluster would refuse the policy."
_SENTENCES = {**WHY, "both_directions_open": _OPEN, "manifest_refused": _REFUSED}


def why_nothing(
    unproposed: Iterable[Unproposed],
    left_out: Iterable[LeftOut],
    set_aside: Mapping[str, int],
    namespace: str | None = None,
) -> str:
    """
    Say why there is no proposal.

    Parameters
    ----------
    unproposed
        Workloads that were asked about, all of them without a proposal.
    left_out
        Traffic of all subjects without a proposal.
    set_aside
        Flows that are no edge, by reason.
    namespace
        The only one that was asked about.

    Examples
    --------
    >>> why_nothing([], [], {"traced": 7})
    'no flow says which labels a pod of the cluster has, and policies select by labels; set aside: 7 traced'
    """
    workloads = list(unproposed)
    if namespace is not None:
        if not workloads:
            return f"no flow of a workload in namespace {namespace} lies in the window"
        return f"none of its {len(workloads)} workloads gets a policy. {_reasons(workloads)}"
    if not workloads:
        aside = ", ".join(f"{flows:,} {reason}" for reason, flows in _most(set_aside))
        found = "no flow says which labels a pod of the cluster has, and policies select by labels"
        return f"{found}; set aside: {aside}" if aside else found
    edges: Counter[str] = Counter()
    passed = works = False
    for line in left_out:
        edges[line.reason] += line.edges
        passed, works = passed or line.flows > 0, works or line.works
    said = f"none of its {len(workloads)} workloads gets a policy"
    if edges and not passed:
        said += ": nothing was forwarded, only refused or dropped (does the source keep denials only?)"
    elif edges and not works:
        said += ": nothing that was forwarded was answered"
    left = "".join(f" {count:,} edges: {WHY[reason]}" for reason, count in _most(edges))
    return f"{said}. {_reasons(workloads)}{' Left out:' if left else ''}{left}"


def _reasons(workloads: list[Unproposed]) -> str:
    kinds = Counter(one.reason for one in workloads)
    return " ".join(f"{count} of them: {_SENTENCES[reason]}" for reason, count in _most(kinds))


def _most(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
