"""
Every setting; ``service.configfile`` reads them.

Order of strength: command line, then environment (``PORTOLAN_SERVER__PORT``), then the YAML file,
then the defaults. A key that does not exist is an error that names the nearest one that does: a
setting that is silently ignored is worse than one that is missing. Secrets are never values here,
they are paths of files that hold them.
"""

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from service.cron import check_cron
from service.durations import Duration

ENV_PREFIX: Final = "PORTOLAN_"
ENV_NESTING: Final = "__"
FILE_NAME: Final = "portolan.yaml"


@dataclass(frozen=True, slots=True)
class _Located:
    """Marks text that names files."""


#: A file, a folder or a glob; relative ones of the configuration file start at its folder.
Place = Annotated[str, _Located()]
Posture = Literal["generous", "balanced", "strict"]
LogFormat = Literal["auto", "text", "json"]
Cron = Annotated[str, AfterValidator(check_cron)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")]


def check_bind(host: str, *, allowed: bool) -> None:
    """Refuse an address that other machines can reach unless that was asked for."""
    if allowed or host == "localhost":
        return
    try:
        loopback = ip_address(host.strip("[]")).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(
            f"server.host {host!r} can be reached by other machines, and there is no login: "
            "set server.allow_non_loopback to true if that is meant"
        )


def _in_quotes(value: object) -> object:
    """Refuse a number where a release is meant: 1.20 would be read as 1.2."""
    if isinstance(value, int | float):
        raise ValueError(f'write it in quotes, as "1.17": {value} is read as a number')  # noqa: TRY004 - for pydantic
    return value


class Section(BaseModel):
    """A part of the settings; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class SourceSettings(Section):
    """One place that flows come from."""

    name: Name
    """Name of the source; its cursor and its coverage are kept under it."""
    kind: Literal["file"] = "file"
    """`file`: Hubble JSON files, folders and globs that an exporter or a collector keeps writing to."""
    paths: tuple[Place, ...] = Field(min_length=1)
    """Files, folders or globs to read."""
    cluster: Name | None = None
    """Cluster to keep the flows under, whatever they say; else the one that they name."""
    interval: Duration | None = None
    """How often to pull; `schedule.pull` where not given."""


class CapabilitySettings(Section):
    """What the target cluster can enforce; what is not set is read off the data, and said."""

    fqdn: bool | None = None
    """The cluster can enforce `toFQDNs` (on AKS this needs Advanced Container Networking Services)."""
    l7: bool | None = None
    """Write lists of HTTP methods and paths where nearly all requests were recorded (AKS: ACNS with L7)."""
    cilium_version: (
        Annotated[str, BeforeValidator(_in_quotes), Field(pattern=r"^v?1\.\d{1,2}(\.\d{1,3})?$")] | None
    ) = None
    """Cilium version of the cluster, as `1.17`; shadow manifests need 1.16 or newer."""
    distribution: Literal["aks", "openshift", "generic"] | None = None
    """`aks`, `openshift` or `generic`: where a resolver is looked for that was never seen."""


class ScheduleSettings(Section):
    """When jobs run while `portolan serve` is up; cron times are UTC."""

    pull: Duration = timedelta(minutes=1)
    """How often sources without an interval of their own are pulled."""
    infer: Cron = "15 2 * * *"
    """When proposals are made again."""
    drift: Cron = "45 2 * * *"
    """When the night is compared with the deployed policies; only where `drift` says which these are."""
    maintenance: Cron = "45 3 * * *"
    """When the store is compacted and old observations are removed."""


class DriftSettings(Section):
    """What the nightly report compares, and whom it tells."""

    policies: tuple[Place, ...] = ()
    """Files or folders of deployed policies, such as a Git checkout that a tool keeps up to date."""
    from_cluster: bool = False
    """Read the deployed policies from the cluster that kubectl would speak to."""
    since: Duration = timedelta(hours=24)
    """Length of a night."""
    prometheus_url: str | None = None
    """Prometheus that scrapes the agents: whether they count denials that the records do not show."""
    webhook_url_file: Path | None = None
    """File that holds the address to which news of a report are sent."""
    webhook_kind: Literal["chat", "json"] = "chat"
    """`chat`: a text, as Slack, Mattermost and Teams take it; `json`: the findings too."""

    @model_validator(mode="after")
    def _one_place(self) -> "DriftSettings":
        if self.policies and self.from_cluster:
            raise ValueError("drift: policies come from files or from the cluster, not from both")
        return self


class CronJobSettings(Section):
    """Which jobs are due although no window showed them."""

    paths: tuple[Place, ...] = ()
    """Files or folders of Kubernetes objects with CronJobs, such as a Git checkout."""
    from_cluster: bool = False
    """Read the CronJobs from the cluster that kubectl would speak to."""


class RetentionSettings(Section):
    """How long things are kept."""

    observations: Annotated[int, Field(ge=1, le=3650)] = 63
    """Days of observations to keep, counted back from the newest one; must cover the window."""
    runs: Annotated[int, Field(ge=1, le=3650)] = 90
    """Days to keep run records, drift reports, and what was held back and lapsed undecided."""


class ServerSettings(Section):
    """Where the API and the pages listen."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port to listen on; 0 takes a free one."""
    allow_non_loopback: bool = False
    """Must be true before anything listens on an address that other machines can reach: there is no login."""
    allowed_hosts: tuple[str, ...] = ()
    """Further names that a request may carry in `Host`, as of an ingress. None: any, if not on loopback."""

    @model_validator(mode="after")
    def _stay_on_loopback(self) -> "ServerSettings":
        check_bind(self.host, allowed=self.allow_non_loopback)
        return self


class DatabaseSettings(Section):
    """Where proposals, decisions and runs are kept."""

    url: str | None = None
    """`postgresql://user@host/name`, without a password; otherwise a SQLite file in the data directory."""
    password_file: Path | None = None
    """File that holds the password of the database."""

    @model_validator(mode="after")
    def _no_secret_in_the_url(self) -> "DatabaseSettings":
        if self.url is None:
            return self
        try:
            url = make_url(self.url)
        except ArgumentError:
            raise ValueError("database.url is not a database address") from None
        if url.get_backend_name() not in {"sqlite", "postgresql"}:
            raise ValueError(
                f"database.url: {url.get_backend_name()} is not supported: use postgresql or sqlite"
            )
        if url.password is not None:
            raise ValueError(
                "database.url carries a password: put it in a file, named by database.password_file"
            )
        return self


class LogSettings(Section):
    """What is logged, and how; logs go to standard error."""

    format: LogFormat = "auto"
    """`text`, `json`, or `auto`: text on a terminal, JSON elsewhere."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe level that is written."""


class Settings(BaseSettings):
    """All settings of one Portolan process."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_NESTING,
        use_attribute_docstrings=True,
    )
    data_dir: Path = Path(".portolan")
    """Folder for observations, review state and rejects."""
    cluster: Name | None = None
    """Cluster to keep flows under, whatever they say, and the one that commands mean by default."""
    sources: tuple[SourceSettings, ...] = ()
    """Where flows are pulled from."""
    window: Duration = timedelta(days=14)
    """How far back proposals look."""
    posture: Posture = "balanced"
    """`generous`, `balanced` or `strict`: reach beyond what was seen (rates: docs/confidence.md)."""
    capabilities: CapabilitySettings = CapabilitySettings()
    """What the target cluster can enforce."""
    cron_jobs: CronJobSettings = CronJobSettings()
    """What forecasts know of scheduled jobs."""
    drift: DriftSettings = DriftSettings()
    """Nightly drift."""
    schedule: ScheduleSettings = ScheduleSettings()
    """When jobs run."""
    retention: RetentionSettings = RetentionSettings()
    """How long things are kept."""
    server: ServerSettings = ServerSettings()
    """Where the API and the pages listen."""
    database: DatabaseSettings = DatabaseSettings()
    """Where proposals, decisions and runs are kept."""
    log: LogSettings = LogSettings()
    """What is logged, and how."""

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        names = [source.name for source in self.sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"sources: the name {twice[0]!r} is used twice; a cursor needs a name of its own"
            )
        if self.window > timedelta(days=self.retention.observations):
            raise ValueError(
                "retention.observations is shorter than window: the store would forget what it needs"
            )
        return self
