"""``portolan explain``: why A cannot reach B, and the smallest change that would let it."""

import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from jobs.flow_records import FlowRecords
from jobs.observations.clusters import ObservedCluster
from jobs.policy_places import PolicyPlaces
from models.domain.policy import Direction
from models.errors import BadInputError
from service.commands.explained import print_explanation
from service.commands.options import (
    CiliumVersion,
    ClusterOption,
    ConfigFile,
    DataDir,
    Format,
    LogFormatOption,
    OutputFormat,
    StateOption,
    chosen_release,
    settings_for,
)
from service.commands.output import print_json
from service.simulation.explained import Question, answer, answer_flow
from service.simulation.reviewed import Review
from service.simulation.service import observed_cluster, stored_policies
from service.wiring import Portolan, open_portolan


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
    source: Annotated[
        str | None, typer.Argument(help="Who connects: namespace/workload or namespace/pod.")
    ] = None,
    destination: Annotated[
        str | None,
        typer.Argument(help="To whom: the same, an address, a DNS name, or an entity such as world."),
    ] = None,
    flow: Annotated[
        str | None,
        typer.Option(
            help="File of a Hubble record, '-' for a pipe, in place of both; of several, the first denied."
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="Port (for ICMP the type); what was observed, if only one was.",
            metavar="<number>",
            min=0,
            max=65535,
        ),
    ] = None,
    protocol: Annotated[ProtocolOption | None, typer.Option(help="Protocol.")] = None,
    direction: Annotated[DirectionOption | None, typer.Option(help="Ask the policy of one end only.")] = None,
    policies: Annotated[
        list[Path] | None,
        typer.Option(metavar="<path>", help="Files or folders of policies in place of the stored proposals."),
    ] = None,
    state: Annotated[
        StateOption, typer.Option(help="Stored proposals that count: approved or any.")
    ] = StateOption.APPROVED,
    cluster: ClusterOption = None,
    cilium_version: CiliumVersion = None,
    output: Format = OutputFormat.TABLE,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """Say which policy and rule decide a connection, the smallest change, and how to check it."""
    settings = settings_for(data_dir, config, log_format)
    release = chosen_release(cilium_version, settings)
    end = Direction(direction.value) if direction else None
    places = PolicyPlaces.read(policies or ())
    if flow is not None:
        if source or destination or port is not None or protocol:
            raise BadInputError("--flow says who, whom and what: leave the ends, --port and --protocol out")
        if policies:
            # No store is needed, and none is made.
            objects: Sequence[Mapping[str, Any]] = places.objects
            found = answer_flow(_records(flow), objects, cilium_version=release, direction=end)
        else:
            with open_portolan(settings) as portolan:
                observed = observed_cluster(portolan, cluster)
                found = answer_flow(
                    _records(flow),
                    _stored(portolan, observed, state, release),
                    cilium_version=release,
                    direction=end,
                    review=Review(portolan, observed.name),
                )
    else:
        if not source or not destination:
            raise BadInputError("name who connects and to whom, or --flow FILE")
        question = Question(source, destination, protocol.value if protocol else None, port, end)
        with open_portolan(settings) as portolan:
            observed = observed_cluster(portolan, cluster)
            objects = places.objects if policies else _stored(portolan, observed, state, release)
            found = answer(portolan, question, objects, cluster=observed, cilium_version=release)
    if output is OutputFormat.JSON:
        print_json(found.to_json())
    else:
        print_explanation(found.to_json(), places)


def _records(name: str) -> FlowRecords:
    if name == "-" and sys.stdin.isatty():
        raise BadInputError("'-' reads standard input, and that is a terminal: pipe a flow into it")
    return FlowRecords([name])


def _stored(
    portolan: Portolan, cluster: ObservedCluster, state: StateOption, release: str
) -> list[Mapping[str, Any]]:
    with portolan.database.read() as session:
        return stored_policies(
            session,
            cluster=cluster.name,
            approved_only=state is StateOption.APPROVED,
            cilium_version=release,
        )
