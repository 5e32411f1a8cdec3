"""
Speed and memory of the estimators at the sizes the product promises; prints one line per step.

    python -m benchmarks.learning [--cells 1000000] [--workloads 5000]
"""

from __future__ import annotations

import argparse
import resource
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from models.confidence.completeness import Completeness
from models.learning.cells import to_cells
from models.learning.incidence import DayIncidence, with_counts
from models.learning.recurrence import Recurrence
from models.learning.rhythms import Rhythms
from models.learning.roles import Roles
from models.learning.screening import Screening
from models.learning.screening_features import Surroundings, screening_features

if TYPE_CHECKING:
    from collections.abc import Iterator

    from models.learning.days import ObservedDays

DAYS = 28
DAY_US = 86_400_000_000


@contextmanager
def step(name: str) -> Iterator[None]:
    """Time a step and say how much memory the process has needed so far."""
    start, used = time.perf_counter(), time.process_time()
    yield
    used = time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{name:<44} {time.perf_counter() - start:7.2f} s  {used:7.2f} s CPU   peak {peak:5.2f} GiB")


def window() -> tuple[list[str], pd.DataFrame]:
    """Four fully observed weeks."""
    days = [str(day.date()) for day in pd.date_range("2026-03-02", periods=DAYS)]
    rows = [(d, h, 3, 3, 3 * 3600, 1000, 0, 0) for d in days for h in range(24)]
    columns = ["day", "hour", "nodes", "expected_nodes", "seconds", "flows", "lost_events", "rejects"]
    return days, pd.DataFrame(rows, columns=columns)


def courses(rng: np.random.Generator, count: int) -> np.ndarray:
    """Presence of cells on days: alive cells with their own rate, some born late, some dead early."""
    rate, theta = rng.beta(0.7, 0.9, count), rng.beta(0.6, 8.0, count)
    born = np.where(rng.random(count) < 0.6, 0, rng.integers(0, DAYS, count))
    age = np.arange(DAYS)[None, :] - born[:, None]
    alive = (age >= 0) & (age < rng.geometric(theta)[:, None])
    shown = alive & (rng.random((count, DAYS)) < rate[:, None])
    shown[np.arange(count), born] = True
    return shown


def edge_days(rng: np.random.Generator, count: int, days: list[str]) -> pd.DataFrame:
    """EDGE_DAYS with about ``count`` rows of 1,000 workloads."""
    shown = courses(rng, count // 8)
    cell, day = np.nonzero(shown)
    frame = pd.DataFrame(
        {
            "subject": np.array([f"w{i:04d}" for i in range(1000)])[cell % 1000],
            "direction": "egress",
            "peer_kind": "endpoint",
            "peer": np.char.add("p", (cell // 1000).astype(str))[: len(cell)],
            "peer_names": "",
            "protocol": "TCP",
            "port": 443,
            "icmp_type": -1,
            "day": np.array(days)[day],
            "hour_bits": 2 ** rng.integers(1, 24, len(cell)) - 1,
            "replies_visible": True,
            "first_us": day.astype(np.int64) * DAY_US + 9 * 3_600_000_000,
            "last_us": day.astype(np.int64) * DAY_US + 10 * 3_600_000_000,
        },
    )
    for name in ("flows", "connections", "answered"):
        frame[name] = 5
    for name in ("reset", "audited", "denied", "l7_denied", "dropped"):
        frame[name] = 0
    return frame


def cells(rng: np.random.Generator, count: int, days: ObservedDays) -> pd.DataFrame:
    """Cells by bitmap, without the edges behind them."""
    shown = courses(rng, count)
    bitmap = (shown.astype(np.uint64) << np.arange(DAYS, dtype=np.uint64)).sum(axis=1, dtype=np.uint64)
    index = np.arange(count)
    first = np.array(days.full)[np.argmax(shown, axis=1)]
    frame = pd.DataFrame(
        {
            "subject": np.array([f"w{i:04d}" for i in range(1000)])[index % 1000],
            "direction": np.where(index % 2, "egress", "ingress"),
            "zone": np.where(index % 5, "internal", "external"),
            "peer_kind": np.where(index % 5, "endpoint", "ip"),
            "peer": np.char.add("p", (index // 1000).astype(str)),
            "port": 443,
            "days": bitmap,
            "first_date": first,
            "first_us": np.argmax(shown, axis=1).astype(np.int64) * DAY_US,
            "active_days": shown.sum(axis=1),
            "hours": shown.sum(axis=1) * 3,
            "start_hours": np.uint64(512),
            "replies_visible": True,
        },
        index=pd.Index(np.char.add("c", index.astype(str)), name="cell"),
    )
    for name in ("flows", "connections", "answered"):
        frame[name] = 5
    for name in ("reset", "audited", "denied", "dropped"):
        frame[name] = 0
    return with_counts(frame, days)


def profiles(rng: np.random.Generator, workloads: int) -> pd.DataFrame:
    """Workloads in roles of five, a tenth of each profile unseen."""
    rows: list[tuple[str, str]] = []
    for role in range(workloads // 5):
        own = [f"c{n}" for n in rng.integers(0, workloads * 2, 12)] + [f"hub{i}" for i in range(4)]
        for member in range(5):
            rows += [(f"w{role}-{member}", cell) for cell in own if rng.random() < 0.9]
            rows.append((f"w{role}-{member}", f"own{role}-{member}"))
    return pd.DataFrame(rows, columns=["workload", "cell"])


def main() -> None:
    """Run every step once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--workloads", type=int, default=5000)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    days, hours = window()
    edges = to_cells(edge_days(rng, options.cells, days))
    print(f"{len(edges)} cell-days of 1000 workloads, {DAYS} days")
    with step("incidence: fit on all days"):
        incidence = DayIncidence().fit(edges, hours)
    before = DayIncidence().fit(edges.loc[edges["day"] < days[-1]], hours.loc[hours["day"] < days[-1]])
    with step("incidence: fold one more day"):
        before.partial_fit(edges.loc[edges["day"] == days[-1]], hours.loc[hours["day"] == days[-1]])
    window_ = incidence.days_
    many = cells(rng, options.cells, window_)
    print(f"{len(many)} cells")
    with step("recurrence: fit, score 7 days"):
        model = Recurrence().fit(many, window_)
    with step("recurrence: score 35 days"):
        model.predict(many, window_, 35)
    with step("rhythms"):
        Rhythms().fit(many, window_)
    with step("completeness"):
        Completeness().fit(many, window_)
    with step("screening: facts"):
        facts = screening_features(many, Surroundings(), window_)
    with step("screening: two channels"):
        Screening().fit(facts, DAYS)
    frame = profiles(rng, options.workloads)
    print(f"{options.workloads} workloads, all profiles distinct")
    with step("roles: first night"):
        roles = Roles().fit(frame)
    with step("roles: next night"):
        Roles().fit(frame.sample(frac=0.97, random_state=1), previous=roles.roles_.to_dict())
    print(f"{roles.roles_.unique().size} roles")


if __name__ == "__main__":
    main()
