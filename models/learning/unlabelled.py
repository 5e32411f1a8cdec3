"""
Records without labels beside a stream with labels.

Stored log records name the owner of a pod and hold none of its labels. Where another source shows the same
owner with its labels, both speak of the same pods, and a policy selects them all.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.learning.label_sets import LabelSetSeen
    from models.learning.owners import Owner


def lend_labels(label_sets: Mapping[str, LabelSetSeen], texts: dict[str, tuple[str, ...]]) -> None:
    """
    Give a label set without labels those of its owner.

    Parameters
    ----------
    label_sets
        By key; those without labels are changed where one cluster alone shows their owner with labels.
    texts
        Labels as Hubble printed them, by key; changed with them.
    """
    known: dict[tuple[str, Owner], list[LabelSetSeen]] = defaultdict(list)
    for one in label_sets.values():
        for owner in one.owners if one.labels else ():
            known[(one.namespace, owner)].append(one)
    for key, one in label_sets.items():
        if one.labels:
            continue
        found = [other for owner in one.owners for other in known.get((one.namespace, owner), ())]
        if len({other.cluster for other in found}) == 1:
            newest = max(found, key=lambda other: (other.last_us, other.key))
            one.labels, one.cluster, texts[key] = newest.labels, newest.cluster, texts[newest.key]
