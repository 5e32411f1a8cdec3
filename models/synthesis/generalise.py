"""Candidates to wider ones where that pays: the names, addresses and ports of what was seen."""

from collections.abc import Mapping

from models.synthesis.candidates import Candidates
from models.synthesis.dynamic_ports import widen_ports
from models.synthesis.exchange import Exchange
from models.synthesis.outside import widen_outside
from models.synthesis.refusals import Refusals
from models.synthesis.rotation import Seen
from models.synthesis.view import ClusterView


def generalise(
    view: ClusterView,
    candidates: Candidates,
    *,
    window: Seen,
    rates: Exchange,
    previous: Mapping[str, tuple[str, ...]],
    refusals: Refusals,
    stricter: bool = False,
) -> tuple[Candidates, dict[str, tuple[str, ...]]]:
    """
    Widen the peers and ports of candidates; who is admitted beyond that is decided rule by rule later.

    Parameters
    ----------
    view
        The cluster.
    candidates
        Exact ones.
    window
        When it was seen.
    rates
        Exchange rates of the posture.
    previous
        Patterns of last night by subject.
    refusals
        What reviewers rejected: it is neither widened nor widened over.
    stricter
        The posture is stricter than last night's.

    Returns
    -------
    tuple
        The same edges in wider candidates, and tonight's patterns by subject.
    """
    mine, refused = refusals.apart(candidates.found)
    excluded = [*candidates.excluded, *refused]
    wider, patterns = widen_outside(
        mine,
        excluded,
        window=window,
        rates=rates,
        version=view.capabilities.cilium_version,
        previous=previous,
        stricter=stricter,
    )
    mine = refusals.exact(mine, wider)
    mine = refusals.exact(mine, widen_ports(mine, excluded, rates))
    wide = iter(mine)
    found = [one if refusals.of(one) else next(wide) for one in candidates.found]
    return Candidates(found, candidates.excluded), patterns
