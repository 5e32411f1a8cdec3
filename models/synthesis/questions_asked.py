"""
Which names a workload asks for: all may be asked, unless some of them carry data out.

Cilium has no way to refuse one domain; it refuses whatever no pattern allows. So only a workload that was
seen tunnelling gets a list: what else it asked for, wide enough for the expansions of the search list.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import pandas as pd

from models.frames import Observations
from models.learning.name_candidates import tidy_name
from models.learning.questions import question_features
from models.learning.suffixes import registrable
from models.synthesis.addresses import well_formed
from models.synthesis.raw_cells import workload_id
from models.synthesis.view import ClusterView

#: Every name may be asked for.
ANY_QUESTION: Final = ("*",)
#: Names under one parent from which a pattern for all of them replaces the list.
MAX_NAMES_OF_PARENT: Final = 8
DAY_US: Final = 24 * 3_600_000_000
_CLUSTER: Final = "cluster.local"
_SERVICES: Final = f"svc.{_CLUSTER}"


@dataclass(frozen=True, slots=True)
class Tunnel:
    """
    A domain under which a workload's questions carry data.

    Parameters
    ----------
    cell
        What a verdict on it is kept by.
    namespace, workload
        Who asks.
    label_keys
        Its label sets.
    domain
        Registrable domain.
    rate
        Bits of distinct labels an hour.
    names, questions, days
        Distinct names, questions, and days: at least those of the name with most of them, and those on which
        any name was asked for first or last. A name that carries data is asked for once.
    first_us, last_us
        Of the answers, microseconds since the epoch.
    """

    cell: str
    namespace: str
    workload: str
    label_keys: tuple[str, ...]
    domain: str
    rate: float
    names: int
    questions: int
    days: int
    first_us: int
    last_us: int


def find_tunnels(observations: Observations, view: ClusterView, day_count: float) -> tuple[Tunnel, ...]:
    """Domains of a window that carry data, by workload."""
    lookups = observations.lookups
    if lookups.empty:
        return ()
    owners = {key: workload_id(one) for key, one in view.workloads.by_label_key.items()}
    workloads = {workload_id(one): one for one in view.workloads.all}
    asked = lookups.assign(subject=lookups["subject"].map(owners))
    asked = asked.loc[asked["subject"].notna().to_numpy()]
    features = question_features(asked, day_count)
    domains = {name: domain_of(name) for name in sorted(asked["name"].astype(str).unique())}
    found = []
    flagged = features.loc[features["flagged"]].reset_index()
    for row in flagged.to_dict("records"):
        subject, domain = str(row["subject"]), str(row["domain"])
        one = workloads[subject]
        mine = asked.loc[(asked["subject"] == subject) & (asked["name"].map(domains) == domain)]
        found.append(
            Tunnel(
                cell=tunnel_cell(subject, domain),
                namespace=one.namespace,
                workload=one.title,
                label_keys=one.label_keys,
                domain=domain,
                rate=float(row["rate"]),
                names=int(row["names"]),
                questions=int(mine["lookups"].sum()),
                days=_days(mine),
                first_us=int(mine["first_us"].min()),
                last_us=int(mine["last_us"].max()),
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class QuestionsAsked:
    """
    What may be asked.

    Parameters
    ----------
    names
        Names asked for, by label-set key.
    refused
        Domains that nobody may ask for, by label-set key.
    """

    names: Mapping[str, frozenset[str]]
    refused: Mapping[str, frozenset[str]]

    def patterns(self, label_keys: Iterable[str], held: frozenset[str] = frozenset()) -> tuple[str, ...]:
        """
        Patterns of the questions that pods of these label sets may ask; sorted.

        A list has no name in it to which the connections are ``held`` back, nor its expansions.
        """
        keys = list(label_keys)
        refused = frozenset[str]().union(*(self.refused.get(key, frozenset()) for key in keys))
        if not refused:
            return ANY_QUESTION
        asked = frozenset[str]().union(*(self.names.get(key, frozenset()) for key in keys))
        kept = {name for name in asked if domain_of(name) not in refused and not expands(name, held)}
        return _patterns(kept, refused)


def questions_asked(observations: Observations, tunnels: Iterable[Tunnel]) -> QuestionsAsked:
    """What may be asked in a window with these tunnels."""
    refused: dict[str, frozenset[str]] = {}
    for tunnel in tunnels:
        for key in tunnel.label_keys:
            refused[key] = refused.get(key, frozenset()) | {tunnel.domain}
    names: dict[str, set[str]] = defaultdict(set)
    if refused:
        pairs = observations.lookups[["subject", "name"]].drop_duplicates()
        for key, name in zip(pairs["subject"].tolist(), pairs["name"].tolist(), strict=True):
            names[str(key)].add(str(name).rstrip(".").lower())
    return QuestionsAsked({key: frozenset(own) for key, own in names.items()}, refused)


def _days(lookups: pd.DataFrame) -> int:
    ends = pd.concat([lookups["first_us"], lookups["last_us"]]) // DAY_US
    return max(int(lookups["days"].max()), int(ends.nunique()))


def tunnel_cell(subject: str, domain: str) -> str:
    """Cell of the questions of a workload (`workload_id`) for the names under a domain."""
    escaped = subject.replace("%", "%25").replace("|", "%7C")
    return f"{escaped}|egress|fqdn|*.{domain}|DNS|53"


def domain_of(name: str) -> str:
    """Domain that somebody registered and that a name is under; the name itself where there is none."""
    tidy = tidy_name(name)[0]
    return registrable(tidy) or tidy


def expands(name: str, held: Iterable[str]) -> bool:
    """Whether a name is one of these, or what a search list makes of it."""
    return any(name == one or name.startswith(f"{one}.") for one in held)


def _patterns(names: Iterable[str], refused: frozenset[str]) -> tuple[str, ...]:
    """Names as patterns: expansions of the search list by their length, many neighbours by their parent."""
    found: set[str] = {f"*.*.{_SERVICES}", f"*.*.*.{_SERVICES}"}
    by_parent: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        # a search list appends the cluster's domain too, and whoever is refused there may not try on
        suffix = next((one for one in (_SERVICES, _CLUSTER) if name.endswith(f".{one}")), "")
        if suffix:
            found.add("*." * (name.removesuffix(f".{suffix}").count(".") + 1) + suffix)
        elif well_formed(name):
            by_parent[name.partition(".")[2]].append(name)
    for parent, own in by_parent.items():
        if len(own) > MAX_NAMES_OF_PARENT and "." in parent and domain_of(parent) not in refused:
            found.add(f"*.{parent}")
        else:
            found.update(own)
    return tuple(sorted(found))
