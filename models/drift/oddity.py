"""What screening finds odd, in words, and how odd traffic must be to be called suspicious."""

from types import MappingProxyType
from typing import Final

#: Chance of being wanted below which odd traffic that no rule allows is called suspicious.
MAX_LEGIT: Final = 0.15
#: Codes that are a reason by themselves, whatever the score says.
HARD: Final = frozenset(
    {
        "debug_or_exec",
        "ownerless_pod",
        "dns_information",
        "generated_name",
        "scan",
        "one_replica_began",
        "strangers_at_once",
        "many_at_once",
    }
)
WORDS: Final = MappingProxyType(
    {
        "debug_or_exec": "a debug container or an exec session made it",
        "ownerless_pod": "a bare pod without an owner made it",
        "never_answered": "nothing ever answered",
        "only_dropped": "policy stopped every attempt",
        "dns_information": "its names carry more information than names do",
        "generated_name": "the name looks generated",
        "scan": "it is part of a scan",
        "one_replica_began": "one replica alone began it",
        "strangers_at_once": "several workloads of other teams were called for the first time at once",
        "many_at_once": "one pod called many workloads for the first time at once",
        "began_without_release": "it began without a release, and goes on round the clock",
        "beside_lone_sighting": "one pod once, within an hour of a call outside that it made once",
        "lone_sighting": "one pod on one day, to the outside",
        "too_little_evidence": "too little speaks for it",
        "low_evidence": "it is among the oddest traffic of the cluster",
        "looks_like_attack": "it resembles known attacks",
        "unwanted_name": "it shares a name with something confirmed as unwanted",
    }
)


def suspicious(legit: float | None, codes: tuple[str, ...]) -> bool:
    """
    Whether traffic that no rule allows is to be called suspicious rather than new.

    Examples
    --------
    >>> suspicious(0.9, ("scan",)), suspicious(0.9, ("only_dropped",)), suspicious(None, ())
    (True, False, False)
    """
    if HARD & frozenset(codes):
        return True
    return bool(codes) and legit is not None and legit < MAX_LEGIT


def describe(codes: tuple[str, ...]) -> str:
    """Codes as part of a sentence."""
    return " and ".join(WORDS.get(code, code.replace("_", " ")) for code in codes)
