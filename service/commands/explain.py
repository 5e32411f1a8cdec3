"""``portolan explain``: why A cannot reach B, and the smallest change that would let it."""

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from jobs.policy_files import read_objects
from models.domain.policy import Direction
from service.commands.export import StateOption
from service.commands.options import (
    CiliumVersion,
    ConfigFile,
    DataDir,
    Format,
    LogFormatOption,
    OutputFormat,
    chosen_release,
    settings_for,
)
from service.commands.output import print_json, print_text
from service.simulation.service import Answer, Question, answer, observed_cluster, stored_policies
from service.wiring import open_portolan


class ProtocolOption(StrEnum):
    """Protocol of a connection."""

    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"
    ICMP = "ICMP"
    ICMPV6 = "ICMPv6"


class DirectionOption(StrEnum):
    """Whose policy is asked."""

    INGRESS = "ingress"
    EGRESS = "egress"


def explain(
    *,
    source: Annotated[str, typer.Argument(help="Who connects: namespace/workload or namespace/pod.")],
    destination: Annotated[
        str, typer.Argument(help="To whom: the same, an address, a DNS name, or an entity such as world.")
    ],
    port: Annotated[
        int | None, typer.Option(help="Port (for ICMP the type); what was observed, if only one was.")
    ] = None,
    protocol: Annotated[ProtocolOption | None, typer.Option(help="Protocol.")] = None,
    direction: Annotated[DirectionOption | None, typer.Option(help="Ask the policy of one end only.")] = None,
    policies: Annotated[
        list[Path] | None, typer.Option(help="Files or folders of policies in place of the stored proposals.")
    ] = None,
    state: Annotated[
        StateOption, typer.Option(help="Stored proposals that count: approved or any.")
    ] = StateOption.APPROVED,
    cluster: Annotated[str | None, typer.Option(help="Cluster, where several were observed.")] = None,
    cilium_version: CiliumVersion = None,
    output: Format = OutputFormat.TABLE,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """Say which policy and rule decide a connection, the smallest change, and how to check it."""
    settings = settings_for(data_dir, config, log_format)
    release = chosen_release(cilium_version, settings)
    question = Question(
        source,
        destination,
        protocol.value if protocol else None,
        port,
        Direction(direction.value) if direction else None,
    )
    with open_portolan(settings) as portolan:
        observed = observed_cluster(portolan, cluster)
        if policies:
            objects = list(read_objects(policies))
        else:
            with portolan.database.read() as session:
                objects = [
                    dict(one)
                    for one in stored_policies(
                        session,
                        cluster=observed.name,
                        approved_only=state is StateOption.APPROVED,
                        cilium_version=release,
                    )
                ]
        found = answer(portolan, question, objects, cluster=observed, cilium_version=release)
    if output is OutputFormat.JSON:
        print_json(found.to_json())
    else:
        _print(found)


def _print(found: Answer) -> None:
    """The answer for a tired person: verdict, rule, change, commands."""
    told = found.to_json()
    connection = f"{told['source']} -> {told['destination']} {told['protocol']}/{told['port']}"
    print_text(f"{connection}: {told['verdict'].upper()} (Cilium {told['cilium_version']})")
    for gate in told["gates"]:
        _print_gate(gate)
    for one in told["observed"]:
        print_text(
            f"  observed: {one['flows']:,} flows {one['verdict']}, last {one['last_seen']:%Y-%m-%d %H:%M} UTC"
        )
    if not told["policies"]:
        print_text("  no policy was asked: nothing is approved yet (--state any), or --policies was empty")
    for refused in told["rejected"]:
        print_text(
            f"  note: {refused['policy']}: a cluster would refuse it: {'; '.join(refused['reasons'][:3])}"
        )
    if told["change"] is not None:
        _print_change(told)
    if told["commands"]:
        print_text("To check on the cluster:")
        for command in told["commands"]:
            print_text(f"  {command}")


def _print_gate(gate: Mapping[str, Any]) -> None:
    print_text(f"  {gate['direction']}: {gate['verdict']}: {gate['reason']}")
    for rule in gate["rules"]:
        print_text(f"    by {rule}")
    if gate["policies"]:
        print_text(f"    closed by {', '.join(gate['policies'])}")


def _print_change(told: Mapping[str, Any]) -> None:
    change = told["change"]
    print_text(f"Smallest change, to {change['policy']}: {change['because']}")
    print_text(f"  {json.dumps(change['patch'])}")
    if sum(gate["verdict"] == "deny" for gate in told["gates"]) > 1:
        print_text("  The other end denies it too: make this change, then ask again.")
