"""Candidates to wider ones where that pays: the names, addresses and ports of what was seen."""

from collections.abc import Mapping

from models.synthesis.candidates import Candidates
from models.synthesis.dynamic_ports import widen_ports
from models.synthesis.exchange import Exchange
from models.synthesis.outside import widen_outside
from models.synthesis.rotation import Seen
from models.synthesis.view import ClusterView


def generalise(
    view: ClusterView,
    candidates: Candidates,
    window: Seen,
    rates: Exchange,
    previous: Mapping[str, tuple[str, ...]],
    *,
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
    stricter
        The posture is stricter than last night's.

    Returns
    -------
    tuple
        The same edges in wider candidates, and tonight's patterns by subject.
    """
    version = view.capabilities.cilium_version
    found, patterns = widen_outside(
        candidates.found,
        candidates.excluded,
        window=window,
        rates=rates,
        version=version,
        previous=previous,
        stricter=stricter,
    )
    found = widen_ports(found, candidates.excluded, rates)
    return Candidates(found, candidates.excluded), patterns
