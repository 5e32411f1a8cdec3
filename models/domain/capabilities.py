"""
What the target cluster can enforce: decides which shapes a proposal may take.

Each member comes from the configuration; where that says nothing, from what the data shows; else a
cautious default is taken. Whatever was not configured is recorded as an assumption, with what is lost.
"""

from dataclasses import dataclass
from typing import Final

from models.domain.proposal import Assumption
from models.errors import BadInputError

#: First Cilium line that has ``enableDefaultDeny``.
DEFAULT_DENY_SWITCH_SINCE: Final = (1, 16)
#: First Cilium line on AKS under which LocalDNS is the host and no longer an address.
LOCAL_DNS_IS_HOST_SINCE: Final = (1, 17)
FQDN_FROM_DATA: Final = "fqdn_from_data"
NO_FQDN_SEEN: Final = "no_fqdn_seen"
#: Code of the assumption that nobody said which release the cluster runs.
VERSION_UNKNOWN: Final = "cilium_version_unknown"
_L7_NOT_ASKED: Final = (
    "HTTP requests were recorded, and no rule looks at them: any request passes, also where a policy that is "
    "deployed lists them today. Set capabilities.l7 to true for lists of methods and paths, or to false."
)


@dataclass(frozen=True, slots=True)
class CapabilityHints:
    """
    What the configuration says about a cluster; ``None`` where it says nothing.

    Parameters
    ----------
    fqdn
        ``toFQDNs`` and DNS rules work (on AKS: with ACNS).
    l7
        HTTP rules work.
    cilium_version
        ``1.18`` or ``1.18.6``.
    distribution
        ``aks``, ``openshift``, ``generic``: where a resolver is looked for that was never seen.
    """

    fqdn: bool | None = None
    l7: bool | None = None
    cilium_version: str | None = None
    distribution: str | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """
    What a proposal for the cluster may use.

    Parameters
    ----------
    fqdn, l7
        Whether names and HTTP rules may be written.
    cilium_version
        Major and minor number; ``None`` when unknown.
    distribution
        ``""`` when unknown.
    assumptions
        What was not configured, and what that costs.
    """

    fqdn: bool
    l7: bool = False
    cilium_version: tuple[int, int] | None = None
    distribution: str = ""
    assumptions: tuple[Assumption, ...] = ()

    @property
    def default_deny_switch(self) -> bool:
        """Whether ``enableDefaultDeny`` may be written; only when the version is known to have it."""
        return self.cilium_version is not None and self.cilium_version >= DEFAULT_DENY_SWITCH_SINCE

    @property
    def version_text(self) -> str | None:
        """``1.18``, for the linter; ``None`` when unknown."""
        return None if self.cilium_version is None else ".".join(map(str, self.cilium_version))


def parse_version(text: str) -> tuple[int, int]:
    """
    Major and minor number of a Cilium version.

    Raises
    ------
    BadInputError
        If it does not start with two numbers.

    Examples
    --------
    >>> parse_version("v1.18.6"), parse_version("1.17")
    ((1, 18), (1, 17))
    """
    major, _, rest = text.strip().removeprefix("v").partition(".")
    minor = rest.partition(".")[0].partition("-")[0]
    if not (major.isdecimal() and minor.isdecimal() and major.isascii() and minor.isascii()):
        raise BadInputError(f"cilium_version {text!r} is not of the form 1.18 or 1.18.6")
    return int(major), int(minor)


def resolve_capabilities(
    hints: CapabilityHints, *, names_seen: bool, requests_seen: bool = False
) -> Capabilities:
    """
    Capabilities of a cluster, from configuration and data.

    Parameters
    ----------
    hints
        The configuration.
    names_seen
        Whether a flow carried a DNS name or a DNS question was seen: both exist only where the DNS
        proxy works, that is where DNS policy works.
    requests_seen
        Whether a proxy recorded HTTP requests.
    """
    assumptions: list[Assumption] = []
    fqdn = hints.fqdn
    if fqdn is None:
        fqdn = names_seen
        text = (
            "DNS names appear in the flows, which happens only where DNS policy works; toFQDNs is used."
            if names_seen
            else "No flow carries a DNS name, no DNS proxy reported a question, and nothing is configured: "
            "the cluster is taken to have no DNS policy, and outside destinations are written as "
            "addresses, which change. Set capabilities.fqdn to true if it has (on AKS: Advanced Container "
            "Networking Services)."
        )
        assumptions.append(Assumption(FQDN_FROM_DATA if names_seen else NO_FQDN_SEEN, text))
    if hints.l7 is None and requests_seen:
        assumptions.append(Assumption("l7_not_asked", _L7_NOT_ASKED))
    version = None if hints.cilium_version is None else parse_version(hints.cilium_version)
    if version is None:
        assumptions.append(
            Assumption(
                VERSION_UNKNOWN,
                "The Cilium version is not configured: manifests keep to what 1.17 to 1.19 share, and shadow "
                "mode is refused. Set capabilities.cilium_version.",
            )
        )
    return Capabilities(
        fqdn=fqdn,
        l7=bool(hints.l7),
        cilium_version=version,
        distribution=hints.distribution or "",
        assumptions=tuple(sorted(assumptions)),
    )
