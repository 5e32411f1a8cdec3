"""``portolan proposals``, ``portolan show`` and ``portolan review``."""

from enum import StrEnum
from typing import Annotated, Any

import typer
import yaml

from service.calibration.views import calibration_of
from service.commands.options import ConfigFile, DataDir, LogFormatOption, account, portolan_for
from service.commands.output import clean, print_block, print_json, print_table, print_text
from service.commands.show import print_proposal
from service.proposals import repository, service, views
from service.proposals.repository import ProposalFilter
from service.proposals.service import DecisionRequest
from service.review.transitions import ProposalState, Verb
from service.wiring import Portolan


class ListFormat(StrEnum):
    """How the list looks."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


Reference = Annotated[
    str, typer.Argument(help="Key (or its beginning), name or namespace/name of a proposal.")
]


def proposals(
    *,
    cluster: Annotated[str | None, typer.Option(help="Only this cluster.")] = None,
    namespace: Annotated[str | None, typer.Option(help="Only this namespace.")] = None,
    state: Annotated[ProposalState | None, typer.Option(help="Only proposals in this state.")] = None,
    output: Annotated[ListFormat, typer.Option("--format", help="Form of the result.")] = ListFormat.TABLE,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """List what was proposed, and where each proposal stands."""
    wanted = ProposalFilter(cluster=cluster, namespace=namespace, state=state)
    with portolan_for(data_dir, config, log_format) as portolan:
        if output is ListFormat.TABLE:
            _print_list(portolan, wanted)
        else:
            result = proposals_document(portolan, wanted)
            if output is ListFormat.JSON:
                print_json(result)
            else:
                print_block(yaml.safe_dump(clean(result), sort_keys=False, allow_unicode=False).rstrip())


def proposals_document(portolan: Portolan, wanted: ProposalFilter) -> dict[str, Any]:
    """Contract form of the list: ``{generated_at, cluster, window, calibration, proposals[]}``."""
    with portolan.database.read() as session:
        rows = repository.list_proposals(session, wanted)
        inferences = repository.newest_inferences(session, wanted.cluster)
        clusters = sorted({row.cluster for row in rows} or {row.cluster for row in inferences})
        newest = max(inferences, key=lambda row: row.generated_at, default=None)
        return {
            "generated_at": newest.generated_at if newest else None,
            "cluster": clusters[0] if len(clusters) == 1 else None,
            "window": newest.body.get("window") if newest else None,
            "calibration": newest.body.get("calibration") if newest else None,
            "proposals": [views.detail(session, row) for row in rows],
        }


def _print_list(portolan: Portolan, wanted: ProposalFilter) -> None:
    with portolan.database.read() as session:
        rows = repository.list_proposals(session, wanted)
    if not rows:
        print_text("no proposals: 'portolan infer' makes them, and says why where it makes none")
        return
    print_table(
        ("key", "namespace", "selects", "state", "version", "maturity", "rules", "to review"),
        [
            (
                row.key,
                row.namespace,
                row.workloads,
                row.state,
                f"{row.current_version} (approved: {row.approved_version})"
                if row.approved_version and row.approved_version != row.current_version
                else row.current_version,
                row.maturity,
                row.rule_count,
                row.flagged_count or "",
            )
            for row in rows
        ],
        right=(6, 7),
    )


def show(
    *,
    proposal: Reference,
    version: Annotated[int | None, typer.Option(help="A former version.", metavar="<number>", min=1)] = None,
    output: Annotated[ListFormat, typer.Option("--format", help="Form of the result.")] = ListFormat.TABLE,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """Show a policy, the evidence for each rule, the doubts, and what was left out."""
    with portolan_for(data_dir, config, log_format) as portolan, portolan.database.read() as session:
        row = service.resolve(session, proposal, portolan.store)
        found = views.detail(session, row, version)
        decisions = [views.decision(item) for item in repository.decisions_of(session, row.key)]
        calibration = calibration_of(session, row.cluster)
    if output is ListFormat.JSON:
        print_json(found)
    elif output is ListFormat.YAML:
        print_block(yaml.safe_dump(clean(found), sort_keys=False, allow_unicode=False).rstrip())
    else:
        print_proposal(found, decisions, calibration)


def review(
    *,
    proposal: Reference,
    decision: Annotated[Verb, typer.Argument(help="What you decide.")],
    rule: Annotated[
        list[str] | None,
        typer.Option(metavar="<id>", help="Decide on this rule only; may be given more than once."),
    ] = None,
    reason: Annotated[
        str, typer.Option(help="Why; needed to reject, and to approve what is marked for review.")
    ] = "",
    reviewer: Annotated[
        str | None, typer.Option(help="Who decides.", show_default="the name of this account")
    ] = None,
    include_flagged: Annotated[
        bool, typer.Option("--include-flagged", help="Approve rules marked for review along with the rest.")
    ] = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """Approve, reject or reopen a proposal or some of its rules."""
    request = DecisionRequest(decision, reviewer or account(), reason, include_flagged)
    with portolan_for(data_dir, config, log_format) as portolan, portolan.database.write() as session:
        row = service.resolve(session, proposal, portolan.store)
        if rule:
            for rule_id in dict.fromkeys(rule):
                service.decide_rule(session, row.key, rule_id, request, now=portolan.clock())
        else:
            service.decide_proposal(session, row.key, request, now=portolan.clock())
        line = f"{row.namespace}/{row.name}: version {row.current_version} is {row.state}"
    print_text(f"{len(set(rule))} rules: {decision}; {line}" if rule else line)
