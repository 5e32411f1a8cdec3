"""``portolan export``: manifests into a folder."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from models.errors import BadInputError
from service.commands.options import (
    ConfigFile,
    DataDir,
    Format,
    LogFormatOption,
    OutputFormat,
    StateOption,
    portolan_for,
)
from service.commands.output import print_json, print_text, say
from service.export.files import write_export
from service.export.manifests import Target
from service.export.service import collect


class KindOption(StrEnum):
    """Which kind of object."""

    CILIUM = "cilium"
    KUBERNETES = "kubernetes"


class ModeOption(StrEnum):
    """Whether the policies deny anything."""

    SHADOW = "shadow"
    ENFORCE = "enforce"


def export(
    *,
    out: Annotated[
        Path, typer.Option(help="Folder to write to; only files that Portolan wrote are replaced.")
    ],
    state: Annotated[
        StateOption, typer.Option(help="Only what is approved, or everything not rejected.")
    ] = StateOption.APPROVED,
    kind: Annotated[
        KindOption, typer.Option(help="CiliumNetworkPolicy or NetworkPolicy.")
    ] = KindOption.CILIUM,
    mode: Annotated[
        ModeOption, typer.Option(help="shadow never denies; it needs Cilium 1.16 or newer.")
    ] = ModeOption.ENFORCE,
    cluster: Annotated[str | None, typer.Option(help="Only this cluster.")] = None,
    namespace: Annotated[str | None, typer.Option(help="Only this namespace.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that somebody else wrote or edited.")
    ] = False,
    output: Format = OutputFormat.TABLE,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """Write one file per policy, each checked before anything is written."""
    if mode is ModeOption.SHADOW and kind is KindOption.KUBERNETES:
        raise BadInputError("a NetworkPolicy always denies: shadow mode exists for --kind cilium only")
    with portolan_for(data_dir, config, log_format) as portolan:
        wanted = cluster or portolan.settings.cluster
        with portolan.database.read() as session:
            found = collect(
                session,
                cluster=wanted,
                namespace=namespace,
                approved_only=state is StateOption.APPROVED,
                target=Target(kind.value, mode.value, portolan.settings.capabilities.cilium_version),
            )
        report = write_export(out, found.objects, overwrite=overwrite)
    if output is OutputFormat.JSON:
        print_json(
            {
                "out": str(out),
                "written": report.written,
                "unchanged": report.unchanged,
                "removed": report.removed,
                "left": report.left,
                "unreviewed": found.unreviewed,
                "refused": found.refused,
                "limits": found.limits,
            }
        )
    else:
        print_text(
            f"{len(found.objects)} policies in {out}: {len(report.written)} written, "
            f"{len(report.unchanged)} unchanged, {len(report.removed)} removed"
        )
        if not found.objects and not found.refused and state is StateOption.APPROVED:
            asked = {"cluster": wanted, "namespace": namespace}
            where = " of ".join(f"{what} {name}" for what, name in reversed(asked.items()) if name)
            nothing = f"nothing is approved in {where}" if where else "nothing is approved yet"
            say(f"{nothing}: 'portolan review PROPOSAL approve', or --state any")
    if len(found.clusters) > 1:
        say(f"one folder per cluster ({', '.join(found.clusters)}): apply each to its own cluster only")
    for path in report.left:
        say(f"left alone: {path} is exported no more, but somebody edited it")
    for title in found.unreviewed:
        say(f"to review: {title} holds rules that a person should look at first ('portolan show {title}')")
    for line in found.limits:
        say(f"not expressible: {line}")
    for line in found.refused:
        say(f"not written: {line}")
    if found.refused:
        raise typer.Exit(1)
