"""
Build the engine of every pinned Cilium line and compare it with Portolan's evaluator.

``python -m conformance.run --cases 10000 --seed 1 [--line 1.19] [--record]``
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from conformance.compare import compare, record
from conformance.generate import generate
from conformance.proposed import kept, rejected, sample_observations

ENGINE: Final = Path(__file__).parent / "engine"
BUILD: Final = Path(__file__).parents[1] / "build" / "conformance"
RECORDED: Final = Path(__file__).parent / "recorded"

RECORDED_SEED: Final = 20260301
RECORDED_CASES: Final = 1500


@dataclass(frozen=True, slots=True)
class Line:
    """One Cilium line: its pinned module file and the build tags of its adapter."""

    version: str
    modfile: str
    tags: tuple[str, ...] = ()


LINES: Final = (
    Line("1.17", "go117.mod", ("cilium117",)),
    Line("1.19", "go.mod"),
    Line("1.20", "go120.mod", ("cilium120",)),
)


def build(line: Line) -> Path:
    """Compile the engine of a line; the first time this takes minutes."""
    go = shutil.which("go")
    if go is None:
        raise SystemExit("make conformance needs Go on the PATH")
    BUILD.mkdir(parents=True, exist_ok=True)
    target = BUILD / f"engine-{line.version}"
    command = [go, "build", "-modfile", line.modfile, "-tags", ",".join(line.tags), "-o", str(target), "."]
    settings = os.environ | {"GOFLAGS": "-mod=readonly -buildvcs=false"}
    subprocess.run(command, cwd=ENGINE, env=settings, check=True)  # noqa: S603
    return target


def recorded_path(line: Line) -> Path:
    """Where the engine's verdicts on the fixed cases of a line are kept."""
    return RECORDED / f"cilium-{line.version}.jsonl.gz"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, or record, every line; exit 1 on any disagreement and any proposal that Cilium refuses."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--line", action="append", choices=[line.version for line in LINES])
    parser.add_argument(
        "--manifests", type=Path, help="folder of manifests kept by tests: validate them, too"
    )
    parser.add_argument("--record", action="store_true", help="record the fixed cases instead")
    args = parser.parse_args(arguments)
    disagreements = 0
    seen = [] if args.record else sample_observations()
    written = [] if args.manifests is None else kept(args.manifests)
    for line in LINES:
        if args.line and line.version not in args.line:
            continue
        print(f"building the engine of Cilium {line.version}", file=sys.stderr)
        engine = build(line)
        if args.record:
            RECORDED.mkdir(exist_ok=True)
            cases = list(generate(RECORDED_CASES, RECORDED_SEED, cilium_version=line.version))
            record(engine, line.version, cases, recorded_path(line))
            continue
        cases = list(generate(args.cases, args.seed, cilium_version=line.version))
        counts = compare(engine, line.version, cases)
        print(f"Cilium {line.version}, seed {args.seed}: {dict(sorted(counts.items()))}", file=sys.stderr)
        disagreements += counts["disagreements"] + rejected(engine, line.version, seen, written)
    return 1 if disagreements else 0


if __name__ == "__main__":
    raise SystemExit(main())
