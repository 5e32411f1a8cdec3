"""Small problems as the exact programs and the product's searches see them: roles, names, addresses."""

import ipaddress
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from models.learning.agglomeration import RolePrices
from models.learning.cidrs import PRICE_UNKNOWN, WIDEST, CidrCover
from models.learning.names import MIN_EXPECTED, NamePatterns
from models.learning.roles import Roles
from tests.oracle.exact import Option, cheapest_cover, cheapest_partition


@dataclass(frozen=True)
class Answer:
    """Objective of what the product chose, and the least there is."""

    chosen: float
    least: float

    @property
    def ratio(self) -> float:
        """How much worse the product is; 1 where it is exact."""
        return self.chosen / self.least if self.least else 1.0


def roles(profiles: dict[str, frozenset[str]]) -> Answer:
    """Partition of workloads into roles by description length; parts must hang together by shared cells."""
    prices = RolePrices()
    names = sorted(profiles)
    connected = {
        frozenset(part)
        for size in range(1, len(names) + 1)
        for part in combinations(names, size)
        if _hangs_together([profiles[name] for name in part])
    }
    costs = {part: prices.role([profiles[name] for name in sorted(part)]) for part in connected}
    frame = pd.DataFrame([(w, c) for w in names for c in sorted(profiles[w])], columns=["workload", "cell"])
    return Answer(float(Roles().fit(frame).cost_), cheapest_partition(costs))


def _hangs_together(profiles: list[frozenset[str]]) -> bool:
    reached, left = profiles[0], profiles[1:]
    while left:
        touching = [one for one in left if one & reached]
        if not touching:
            return False
        reached = reached.union(*touching)
        left = [one for one in left if not one & reached]
    return True


def names(seen: pd.DataFrame, day_count: int, **options: float) -> Answer:
    """
    Names of one subject to patterns.

    The expected denials that a name stands for are its share of the growth under the pattern that it is
    written as; written exactly, it leaves those of the best pattern over it to be denied.
    """
    estimator = NamePatterns(**options).fit(seen, day_count)
    subject = str(seen["subject"].iloc[0])
    grouped = seen.groupby(["subject", "name"]).agg(
        days_seen=("days_seen", "max"), first_day=("first_day", "min")
    )
    offers = [
        (candidate, new)
        for candidate, new in estimator._offers(grouped, day_count).get(subject, [])
        if new >= MIN_EXPECTED and not candidate.shared
    ]
    things = set(seen["name"])
    best = dict.fromkeys(things, 0.0)
    for candidate, new in offers:
        for name in candidate.names:
            best[name] = max(best[name], estimator.mu * new / len(candidate.names))
    exact = [Option(estimator.lam + best[name], frozenset({name})) for name in sorted(things)]
    wide = [Option(c.price + estimator.lam, frozenset(c.names)) for c, _ in offers]
    least = cheapest_cover([*exact, *wide], things)
    price = {c.pattern: c.price for c, _ in offers}
    listed = estimator.selected_.loc[~estimator.selected_["is_pattern"], "name"]
    chosen = sum(estimator.lam + best[name] for name in sorted(listed))
    chosen += sum(price[pattern] + estimator.lam for pattern in estimator.patterns_["pattern"])
    return Answer(chosen, least)


def addresses(seen: list[str], budget: int) -> Answer:
    """Prefixes of addresses under a budget of unseen ones."""
    things = sorted({ipaddress.ip_address(text) for text in seen})
    nets = set()
    for length in range(WIDEST[4], 33):
        nets |= {ipaddress.ip_network((one, length), strict=False) for one in things}
    tight: dict[frozenset[object], ipaddress.IPv4Network] = {}
    for net in sorted(nets, key=lambda net: net.prefixlen):  # the tightest of those that hold the same
        tight[frozenset(one for one in things if one in net)] = net
    base, slope = PRICE_UNKNOWN
    options = []
    for inside, net in tight.items():
        unseen = net.num_addresses - len(inside)
        options.append(Option(base + slope * float(np.log2(unseen + 1)), inside, weight=float(unseen)))
    frame = pd.DataFrame({"subject": "w", "address": seen})
    found = CidrCover(budget=budget).fit(frame).blocks_
    assert int(found["unseen"].sum()) <= budget
    return Answer(float(found["price"].sum()), cheapest_cover(options, things, float(budget)))
