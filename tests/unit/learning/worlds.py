"""
A small estate with a known course, for tests of estimators: who talks to whom on which day.

It is not the generator of the evaluation: it knows no addresses, labels or attacks, only cells and days.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd

START = date(2026, 3, 2)  # a Monday
_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US


def day_names(count: int) -> list[str]:
    """ISO dates from `START`."""
    return [(START + timedelta(days=d)).isoformat() for d in range(count)]


def coverage(days: list[str], lossy: tuple[str, ...] = ()) -> pd.DataFrame:
    """COVERAGE rows with every hour of every day; lossy days lost a tenth of their events."""
    rows = [
        {
            "cluster": "c",
            "day": day,
            "hour": hour,
            "nodes": 3,
            "expected_nodes": 3,
            "seconds": 10800,
            "flows": 1000,
            "replies": 500,
            "lost_events": 120 if day in lossy else 0,
            "rejects": 0,
            "skipped": 0,
        }
        for day in days
        for hour in range(24)
    ]
    return pd.DataFrame(rows)


def edge(subject: str, peer: str, day: str, **columns: object) -> dict[str, object]:
    """One EDGE_DAYS row: an answered TCP call of one hour, unless said otherwise."""
    index = (date.fromisoformat(day) - START).days
    flows = columns.get("flows", 4)
    row: dict[str, object] = {
        "cluster": "c",
        "subject": subject,
        "direction": "egress",
        "peer_kind": "endpoint",
        "peer": peer,
        "peer_names": "",
        "names_from": "",
        "protocol": "TCP",
        "port": 443,
        "icmp_type": -1,
        "day": day,
        "hour_bits": 1 << 9,
        "flows": flows,
        "connections": flows,
        "answered": flows,
        "reset": 0,
        "audited": 0,
        "denied": 0,
        "l7_denied": 0,
        "dropped": 0,
        "drop_reasons": "",
        "replies_visible": True,
        "aggregated": False,
        "own_end": True,
        "first_us": index * _DAY_US + 9 * _HOUR_US,
        "last_us": index * _DAY_US + 10 * _HOUR_US,
        "samples": "",
        "policies": "",
    }
    return row | columns


def estate(seed: int, day_count: int, workloads: int = 120, churn: float = 1.0) -> pd.DataFrame:
    """
    EDGE_DAYS of an estate: core calls, Zipf tails, weekly and sporadic ones, deploys that add and retire.

    The tail has far more cells than are seen, each rare: what comes next week is not what was seen.
    """
    rng = np.random.default_rng(seed)
    days = day_names(day_count)
    rows = []
    for w in range(workloads):
        outside = rng.random() < 0.3
        busy = rng.gamma(0.8, 1.0)
        for name, bits in _course(rng, day_count, busy, churn):
            kind = "ip" if outside and name.startswith("tail") else "endpoint"
            names = f"{name}-{w}.example.com" if kind == "ip" else ""
            peer = f"203.0.113.{w % 250}" if kind == "ip" else f"{name}-{w}"
            on = np.flatnonzero(bits)
            rows += [edge(f"w{w:03d}", peer, days[d], peer_kind=kind, peer_names=names) for d in on]
    return pd.DataFrame(rows)


def _course(rng: np.random.Generator, day_count: int, busy: float, churn: float):
    for i in range(rng.integers(3, 10)):
        yield f"core{i}", rng.random(day_count) < 0.98
    for i in range(rng.integers(0, 3)):
        bits = np.zeros(day_count, dtype=bool)
        bits[rng.integers(0, 7) :: 7] = True
        yield f"weekly{i}", bits
    share = 0.25 * busy / np.arange(1, 60) ** 1.1
    for i, p in enumerate(share):
        bits = rng.random(day_count) < p
        if bits.any():
            yield f"tail{i}", bits
    for d in np.flatnonzero(rng.random(day_count) < 0.02 * churn):
        for i in range(1 + rng.poisson(0.7)):
            born = (np.arange(day_count) >= d) & (rng.random(day_count) < 0.95)
            end = d + rng.geometric(0.02)
            yield f"born{d}-{i}", born & (np.arange(day_count) < end)
