"""``portolan infer``: proposals from what was observed."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from models.domain.window import STABLE_FROM_DAYS
from service.commands.options import (
    AsOf,
    ConfigFile,
    DataDir,
    Format,
    LogFormatOption,
    OutputFormat,
    PostureOption,
    parse_length,
    parse_time,
    portolan_for,
)
from service.commands.output import print_json, print_text, say
from service.runs.inference import InferOptions
from service.runs.inference import infer as run
from service.runs.service import PATIENCE, Start

#: Share of the days that make a proposal stable from which those that lack are gaps, and not days to come.
_MOSTLY_HEARD: Final = 0.75


def infer(
    *,
    cluster: Annotated[
        str | None, typer.Option(help="Cluster to propose for; every observed one by default.")
    ] = None,
    namespace: Annotated[str | None, typer.Option(help="Propose for this namespace only.")] = None,
    as_of: AsOf = None,
    window: Annotated[str | None, typer.Option(help="How far back to look, as in 14d.")] = None,
    posture: Annotated[
        PostureOption | None, typer.Option(help="How far to reach beyond what was seen.")
    ] = None,
    cron_jobs: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="<path>",
            help="Files or folders with CronJobs, whose runs are expected; may be given more than once.",
        ),
    ] = None,
    output: Format = OutputFormat.TABLE,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """
    Propose a policy for every workload; a new version appears only where the meaning changed.

    Where nothing can be proposed it says why. A window without any flow is an error (exit 1) and leaves what
    was proposed before as it is.
    """
    options = InferOptions(
        cluster,
        namespace,
        parse_time(as_of),
        parse_length(window),
        posture.value if posture else None,
        tuple(cron_jobs or ()),
    )
    with portolan_for(data_dir, config, log_format) as portolan:
        result = run(portolan, options, Start("cli", PATIENCE))
    if output is OutputFormat.JSON:
        print_json({"run": result.run_id, **result.counts})
        return
    counts = result.counts
    for note in counts["notes"]:
        say(f"note: {note}")
    for one in counts["windows"]:
        print_text(
            f"{one['cluster']}: {one['start'][:16]} to {one['end'][:16]} UTC, "
            f"{one['effective_days']:g} effective days; "
            f"{one['without_proposal']} workloads get no policy"
        )
        if hint := longer_window(one):
            say(hint)
    print_text(
        f"{counts['proposals']} proposals for {', '.join(counts['clusters'])}: {counts['new']} new, "
        f"{counts['changed']} changed, {counts['unchanged']} as before, {counts['withdrawn']} withdrawn"
    )
    if counts["cron_jobs"] or counts["cron_jobs_unread"]:
        print_text(
            f"{counts['cron_jobs']} CronJobs known, {counts['cron_jobs_unread']} could not be read wholly"
        )
    if counts["quarantine_open"]:
        print_text(f"{counts['quarantine_open']} held back until somebody decides: 'portolan quarantine'")


def longer_window(one: Mapping[str, Any]) -> str:
    """What helps where a window is long enough but for some gaps; "" where it is not that, but too early."""
    length = datetime.fromisoformat(one["end"]) - datetime.fromisoformat(one["start"])
    gaps = _MOSTLY_HEARD * STABLE_FROM_DAYS <= one["effective_days"] < STABLE_FROM_DAYS
    if not gaps or length < timedelta(days=STABLE_FROM_DAYS):
        return ""
    return (
        f"note: nothing is stable below {STABLE_FROM_DAYS:g} effective days; this window has gaps, and a "
        f"longer one ('--window {2 * length.days}d') makes up for them once there are records"
    )
