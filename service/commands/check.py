"""``portolan check``: what is wrong with policies before a cluster sees them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from jobs.policy_places import PolicyPlaces
from models.domain.agent import MAP_SIZE, AgentConfig
from models.domain.policy import PolicySet
from models.errors import BadInputError
from models.manifest.parse import parse_objects
from models.simulation.check import PolicyCheck, check_policies, finding_to_json
from models.simulation.findings import Severity
from service.commands.options import (
    AsOf,
    CiliumVersion,
    ClusterOption,
    ConfigFile,
    DataDir,
    Format,
    InPlaceOfFiles,
    LogFormatOption,
    OutputFormat,
    PolicyFiles,
    StateOption,
    chosen_release,
    parse_length,
    parse_time,
    settings_for,
)
from service.commands.output import print_json, print_text
from service.errors import EXIT_FAILED
from service.settings import Settings
from service.simulation.service import observed_cluster, only_cluster, seen_in_window, stored_policies
from service.wiring import Portolan, open_portolan

#: Findings of a table that a person reads; the counts are of everything.
MAX_ROWS: Final = 200
MAX_COSTS: Final = 5


def check(
    *,
    policies: PolicyFiles = None,
    state: InPlaceOfFiles = None,
    window: Annotated[
        str | None, typer.Option(help="How far back the stored observations count, as in 14d.")
    ] = None,
    as_of: AsOf = None,
    cluster: ClusterOption = None,
    cilium_version: CiliumVersion = None,
    output: Format = OutputFormat.TABLE,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """Look for what is wrong with policies; with stored observations, also for what fits nobody."""
    settings = settings_for(data_dir, config, log_format)
    release = chosen_release(cilium_version, settings)
    if bool(policies) == (state is not None):
        raise BadInputError("name --policies or --state")
    places = PolicyPlaces.read(policies or ())
    loaded, found = _check(settings, places, state, (cluster, as_of, window), release)
    if not loaded.sources and not loaded.rejected:
        raise BadInputError("there is no policy to check")
    if output is OutputFormat.JSON:
        print_json(_as_json(loaded, found, places, release))
    else:
        _print(loaded, found, places)
    if loaded.rejected or found.count(Severity.ERROR):
        raise typer.Exit(EXIT_FAILED)


def _check(
    settings: Settings,
    places: PolicyPlaces,
    state: StateOption | None,
    asked: tuple[str | None, str | None, str | None],
    release: str,
) -> tuple[PolicySet, PolicyCheck]:
    cluster, as_of, window = asked
    wanted = bool(state or cluster or as_of or window)
    if not wanted and not (settings.data_dir / "observations").exists():
        # Files alone need no store, and none is made.
        return _checked(places.objects, AgentConfig(cilium_version=release))
    with open_portolan(settings) as portolan:
        observed = observed_cluster(portolan, cluster) if wanted else only_cluster(portolan, cluster)
        if observed is None:
            return _checked(places.objects, AgentConfig(cilium_version=release))
        objects = _stored(portolan, observed.name, state, release) if state else places.objects
        seen = seen_in_window(
            portolan,
            cluster=observed,
            as_of=parse_time(as_of),
            window=parse_length(window),
            cilium_version=release,
        )
        loaded = parse_objects(list(objects), config=seen.config)
        return loaded, check_policies(loaded, seen.config, seen)


def _checked(objects: Sequence[Mapping[str, Any]], config: AgentConfig) -> tuple[PolicySet, PolicyCheck]:
    loaded = parse_objects(list(objects), config=config)
    return loaded, check_policies(loaded, config)


def _stored(portolan: Portolan, cluster: str, state: StateOption, release: str) -> list[Mapping[str, Any]]:
    with portolan.database.read() as session:
        return stored_policies(
            session, cluster=cluster, approved_only=state is StateOption.APPROVED, cilium_version=release
        )


def _as_json(loaded: PolicySet, found: PolicyCheck, places: PolicyPlaces, release: str) -> dict[str, Any]:
    return {
        "cilium_version": release,
        "policies": len(loaded.sources),
        "rejected": [
            {"policy": str(one.policy), "reasons": list(one.reasons), "where": places.where(one.policy)}
            for one in loaded.rejected
        ],
        **found.to_json(),
        "findings": [
            finding_to_json(one) | {"where": places.where(one.rule.policy, one.rule.path)}
            for one in found.findings
        ],
    }


def _print(loaded: PolicySet, found: PolicyCheck, places: PolicyPlaces) -> None:
    """One finding, two lines: where and what; errors first."""
    for refused in loaded.rejected:
        print_text(f"error  refused  {places.where(refused.policy) or refused.policy}")
        for reason in refused.reasons[:5]:
            print_text(f"    {refused.policy}: {reason}")
    for one in found.findings[:MAX_ROWS]:
        place = places.where(one.rule.policy, one.rule.path)
        print_text(f"{one.severity.value}  {one.kind.value}  {place or one.rule}")
        print_text(f"    {one.rule}: {one.because}" if place else f"    {one.because}")
    if len(found.findings) > MAX_ROWS:
        print_text(f"{len(found.findings) - MAX_ROWS:,} more findings are not shown (--format json)")
    for cost in found.costs[:MAX_COSTS]:
        share = cost.entries / MAP_SIZE
        print_text(
            f"costs  {cost.namespace}/{cost.labels}: {cost.entries:,} policy-map entries ({share:.1%})"
        )
    errors = found.count(Severity.ERROR) + len(loaded.rejected)
    print_text(
        f"{len(loaded.sources) + len(loaded.rejected):,} policies: {errors:,} errors, "
        f"{found.count(Severity.WARNING):,} warnings, {found.count(Severity.NOTE):,} notes"
    )
    if found.not_checked:
        print_text(f"not checked, for nothing was observed: {'; '.join(found.not_checked)}")
