"""
Namespaces that are made for one customer each, so that another of the kind is to be expected.

With two of them a role is seen, because both do the same. With one of them nothing is alike yet; what tells
that a second will come is what people call it, or label it with. Both are read with care, for a namespace
taken for a tenant's is opened to every other one: ``customer-service`` is a department, and a label that says
the same of all namespaces names the company that owns them.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from models.domain.labels import NAMESPACE_LABELS_PREFIX
from models.synthesis.exchange import Exchange

#: First or last word of a namespace that is one of many, whatever it is called beside it.
SURE_WORD: Final = "tenant"
#: Those that also begin the names of ordinary services: what stands beside them must be a number or a hash,
#: or a second namespace of the same form must run the same.
TENANT_WORDS: Final = frozenset(
    {SURE_WORD, "customer", "cust", "org", "organisation", "organization", "workspace"}
)
#: Last part of a label key that says so. A workspace is a team's, wherever it is a label.
LABEL_WORDS: Final = TENANT_WORDS - {"workspace"}
#: What stands beside such a word where it names software, a department or the way that things are shared.
ORDINARY_WORDS: Final = frozenset(
    {
        "admin", "api", "app", "apps", "auth", "backend", "billing", "care", "chart", "config", "controller",
        "dashboard", "data", "db", "frontend", "gateway", "identity", "infra", "management", "manager",
        "multi", "onboarding", "operator", "operators", "platform", "portal", "provisioner", "provisioning",
        "registry", "service", "services", "shared", "single", "success", "support", "system", "tools",
        "ui", "web", "webhook",
    }
)  # fmt: skip
#: Stages of one thing: alone they name no customer, beside a customer's name they take nothing from it.
STAGES: Final = frozenset({"dev", "prod", "production", "qa", "stage", "staging", "test", "uat"})
#: Tenants in the sense of these tools are teams: what one of them runs, the next does not.
TEAM_TOOLS: Final = frozenset({"capsule.clastix.io", "kubesphere.io", "toolkit.fluxcd.io"})
#: Chance that another tenant arrives within the horizon of a week; a guess, one in three months or so, and
#: only compared with the price of the one pair that its arrival opens at a gate.
ARRIVAL_CHANCE: Final = 0.08

#: A number, or a hash: five letters and digits or more, of which two are digits.
_ID: Final = re.compile(r"[a-z]?\d{2,}|\d|(?=(?:[a-z]*\d){2})[a-z0-9]{5,}")


@dataclass(frozen=True, slots=True)
class Tenancy:
    """
    What tells the tenants of a cluster.

    Parameters
    ----------
    telling
        Keys of namespace labels whose values tell one tenant from another, or from what is nobody's.
    """

    telling: frozenset[str] = frozenset()

    @classmethod
    def of(cls, places: Iterable[tuple[str, Mapping[str, str]]]) -> Self:
        """
        See which labels tell tenants.

        A label with one value tells them only if one namespace alone carries it: the first tenant. Where
        several do, it says whose cluster it is; where all do, nothing is told from anything.

        Parameters
        ----------
        places
            Namespaces of the cluster, each with the labels of a pod in it, those of the namespace included.
        """
        spaces: set[str] = set()
        values: dict[str, set[str]] = defaultdict(set)
        carriers: dict[str, set[str]] = defaultdict(set)
        for namespace, labels in places:
            spaces.add(namespace)
            for key, value in labels.items():
                if _says_tenant(key):
                    values[key].add(value)
                    carriers[key].add(namespace)
        lone = {key for key, own in carriers.items() if len(own) == 1 and len(spaces) > 1}
        several = {key for key, own in values.items() if len(own) > 1 and len(carriers[key]) > 1}
        return cls(frozenset(lone | several))

    def is_tenant(self, namespace: str, labels: Mapping[str, str], alike: Collection[str] = ()) -> bool:
        """
        Whether a namespace is one customer's.

        Parameters
        ----------
        namespace
            Its name.
        labels
            Labels of a pod in it (keys without source), those of the namespace included.
        alike
            Namespaces in which the same kind of workload runs.

        Examples
        --------
        >>> one = Tenancy()
        >>> [one.is_tenant(name, {}) for name in ("tenant-acme", "org-17", "tenancy", "customer-service")]
        [True, True, False, False]
        >>> one.is_tenant("customer-acme", {}), one.is_tenant("customer-acme", {}, ["customer-globex"])
        (False, True)
        """
        form = _form(namespace)
        if form is not None:
            word, rest = form
            sure = word.strip("-") == SURE_WORD or any(map(_ID.fullmatch, rest))
            if sure or any(_form_word(other) == word for other in alike if other != namespace):
                return True
        return not self.telling.isdisjoint(labels)

    def all_tenants(self, places: Iterable[tuple[str, Mapping[str, str]]], alike: Collection[str]) -> bool:
        """Whether each of several namespaces, with the labels of a pod in it, is one customer's."""
        return all(self.is_tenant(namespace, labels, alike) for namespace, labels in places)


def _form(namespace: str) -> tuple[str, list[str]] | None:
    """The word that says tenant, with its end of the name, and the rest; ``None`` where none does."""
    words = namespace.split("-")
    if len(words) == 1:
        return None
    first, last = words[0], words[-1]
    for form, word, rest, beside in (
        (f"{first}-", first, words[1:], words[1]),
        (f"-{last}", last, words[:-1], words[-2]),
    ):
        if word in TENANT_WORDS and beside not in ORDINARY_WORDS and not STAGES.issuperset(rest):
            return form, rest
    return None


def _form_word(namespace: str) -> str:
    form = _form(namespace)
    return form[0] if form else ""


def _says_tenant(key: str) -> bool:
    if not key.startswith(NAMESPACE_LABELS_PREFIX):
        return False
    domain, _, name = key.removeprefix(NAMESPACE_LABELS_PREFIX).rpartition("/")
    team = any(domain == tool or domain.endswith(f".{tool}") for tool in TEAM_TOOLS)
    return not team and name.removesuffix("-id").removesuffix("-name") in LABEL_WORDS


def another_pays(rates: Exchange) -> bool:
    """Whether a gate that is open to the next tenant is worth the pair that its arrival will open."""
    return rates.mu_inside * ARRIVAL_CHANCE > rates.alpha
