"""
Write the two further days and the report on them: ``python -m sample_data.night.generate [--out DIR]``.

The policies come from the demo's own proposals, so it runs the main job on the sixteen days first. Run it
again whenever inference proposes something else for the sample; a test says so.
"""

import argparse
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from jobs.policy_files import read_objects
from models.manifest.parse import parse_objects
from sample_data.generate import Generator, write_day
from sample_data.night.deployed import Manifest, deploy
from sample_data.night.enforcement import CONFIG, Enforcement
from sample_data.night.expected import write_truth
from sample_data.night.world import DAYS, night_world
from service.commands import sample
from service.configfile import load_settings
from service.drift.render import markdown
from service.drift.service import Told
from service.export.manifests import Target
from service.export.service import collect
from service.wiring import Portolan, open_portolan

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "sample-drift.md"
PAGE_HEAD = """# A drift report

What `make demo` says about the night of Tuesday 17 November in the sample cluster, with known changes
planted in it ([truth.yaml](../sample_data/night/truth.yaml) lists them). In the running demo the same report
is a page, at <http://127.0.0.1:8000/drift>. Written by `python -m sample_data.night.generate`; a test holds
it to the demo.
"""
HEAD = "# Written by sample_data/night/generate.py: the demo's proposals, edited as deployed.py says.\n"


def proposed(portolan: Portolan) -> list[Mapping[str, Any]]:
    """What an export of everything would hold."""
    with portolan.database.read() as session:
        found = collect(session, cluster=None, approved_only=False, target=Target())
    return [one.manifest for one in found.objects]


@contextmanager
def learned() -> Iterator[Portolan]:
    """The demo up to its proposals, made afresh."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_portolan(load_settings(data_dir=Path(folder))) as portolan,
    ):
        sample.read(portolan, sample.FLOWS)
        sample.propose(portolan)
        yield portolan


def page(told: Told) -> str:
    """The report as a page of the documentation."""
    return f"{PAGE_HEAD}\n{markdown(told)}"


def policy_files(manifests: Iterable[Manifest]) -> dict[str, str]:
    """Text of one file per namespace."""
    texts: dict[str, str] = {}
    for manifest in manifests:
        name = f"{manifest['metadata']['namespace']}.yaml"
        body = yaml.safe_dump(manifest, sort_keys=False, width=110)
        texts[name] = f"{texts[name]}---\n{body}" if name in texts else HEAD + body
    return texts


def write(out: Path, manifests: list[Manifest]) -> None:
    """Write policies, flows and truth."""
    for folder in ("policies", "flows"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for name, text in policy_files(manifests).items():
        (out / "policies" / name).write_text(text, encoding="utf-8")
    objects = [*read_objects([sample.DEPLOYED[0]]), *manifests]
    in_force = parse_objects(objects, config=CONFIG, inventory_complete=True)
    generator = Generator(night_world(), Enforcement(in_force))
    for day in generator.world.days_list()[-DAYS:]:
        write_day(generator, day, out / "flows")
    with (out / "truth.yaml").open("w", encoding="utf-8") as file:
        write_truth(file)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="write the night with planted drift, and its report")
    parser.add_argument("--out", type=Path, default=None, help="write elsewhere, and no report")
    out = parser.parse_args().out
    with learned() as portolan:
        write(out or HERE, deploy(proposed(portolan)))
        if out is None:
            sample.approve(portolan)
            sample.read(portolan, sample.NIGHT_FLOWS)
            PAGE.write_text(page(sample.report_nights(portolan)), encoding="utf-8")


if __name__ == "__main__":
    main()
