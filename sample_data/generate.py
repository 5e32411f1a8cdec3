"""
Write the sample data: ``python -m sample_data.generate [--out DIR] [--days N]``.

One file per node and day, as node exporters with daily rotation would leave them, and ``truth.yaml``.
The same seed gives the same bytes on every machine with the same zstd library; the lines themselves
never differ.
"""

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import zstandard

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sample_data.world.ambient import Ambient
from sample_data.world.nouns import World
from sample_data.world.pods import Cluster
from sample_data.world.records import Line, Records
from sample_data.world.sample import sample_world
from sample_data.world.traffic import NANOSECONDS, Judge, Traffic
from sample_data.world.truth import Truth

LEVEL = 15  # 19 saves a tenth and takes ten times as long
HERE = Path(__file__).resolve().parent


class Generator:
    """Renders a world day by day."""

    def __init__(self, world: World, judge: Judge | None = None) -> None:
        self.world = world
        self.cluster = Cluster(world)
        self.traffic = Traffic(world, self.cluster, judge)
        self.records = Records(self.cluster)
        self.ambient = Ambient(self.cluster, self.records)
        self.truth = Truth(world, self.cluster)

    def day(self, day: date) -> Iterator[tuple[str, bytes]]:
        """File name and content of every node on one day; the truth learns what happened."""
        lines: list[Line] = []
        for event in self.traffic.day(day):
            self.truth.observe(event)
            lines += self.records.lines(event)
        for reason, line in self.ambient.lines(day):
            if self._listened(line.node, line.at):
                self.truth.count(reason)
            lines.append(line)
        losses = list(self.ambient.losses(day))
        for node in self.cluster.nodes:
            mine = sorted(
                (
                    (line.at, number, line.body)
                    for number, line in enumerate(lines)
                    if line.node == node.index and self._listened(node.index, line.at)
                ),
            )
            name = self.records.node_name(node)
            bodies = [
                (at, self._flow(node.index, day, number, at, body, name))
                for number, (at, _, body) in enumerate(mine)
            ]
            for at, where, body in losses:
                if where == node.index:
                    self.truth.count("lost_events")
                    bodies.append((at, f'{{{body},"node_name":"{name}","time":"{_time(at)}"}}'))
            bodies.sort(key=lambda entry: entry[0])
            text = "\n".join(body for _, body in bodies) + "\n"
            if (node.index, day) in self.world.torn:
                text = text[: -len(bodies[-1][1]) // 2]
                self.truth.count("torn_line")
            yield f"{node.name}_{day}.jsonl", text.encode()

    def _listened(self, node: int, at: int) -> bool:
        return not any(
            gap.node == node and gap.start.timestamp() <= at / NANOSECONDS < gap.end.timestamp()
            for gap in self.world.gaps
        )

    def _flow(self, node: int, day: date, number: int, at: int, body: str, node_name: str) -> str:
        """A complete line; the uuid is unique but counts, so that the files stay small."""
        turn = day.toordinal()
        uuid = f"{number:08x}-{node + 1:04x}-4{self.world.seed & 4095:03x}-8{turn & 4095:03x}-{turn:012x}"
        time = _time(at)
        return (
            f'{{"flow":{{"time":"{time}","uuid":"{uuid}",{body}}},"node_name":"{node_name}","time":"{time}"}}'
        )


_SECONDS: dict[int, str] = {}


def _time(at: int) -> str:
    second, rest = divmod(at, NANOSECONDS)
    if second not in _SECONDS:
        _SECONDS[second] = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{_SECONDS[second]}.{rest:09d}Z"


def write_day(generator: Generator, day: date, flows: Path) -> None:
    """Write the files of one day into a folder."""
    size = 0
    for name, content in generator.day(day):
        packed = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(content)
        (flows / f"{name}.zst").write_bytes(packed)
        size += len(packed)
    print(f"{day} {size / 1e6:.2f} MB")


def write(world: World, out: Path, days: int | None = None) -> None:
    """Write the flows and the truth of the first ``days`` days of a world into a folder."""
    generator = Generator(world)
    flows = out / "flows"
    flows.mkdir(parents=True, exist_ok=True)
    for day in world.days_list()[:days]:
        write_day(generator, day, flows)
    with (out / "truth.yaml").open("w", encoding="utf-8") as file:
        generator.truth.write(file)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="write the sample data")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--days", type=int, default=None, help="only the first N days")
    arguments = parser.parse_args()
    write(sample_world(), arguments.out, arguments.days)


if __name__ == "__main__":
    main()
