"""Wildcards have to be earned, and shared suffixes never are."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.fqdn import FqdnSelector
from models.learning.name_candidates import tidy_name
from models.learning.names import NamePatterns
from models.learning.suffixes import is_shared, registrable, shared_suffix


def fit(rows: list[tuple[str, int]], **options: object) -> NamePatterns:
    """Names of one subject over two weeks."""
    frame = pd.DataFrame([("w", name, x) for name, x in rows], columns=["subject", "name", "days_seen"])
    return NamePatterns(**options).fit(frame, 14)


def test_trap_G13_growing_names_become_a_pattern() -> None:
    """Forty names seen once each expect about twenty more; the narrowest pattern that holds them wins."""
    fitted = fit([(f"shard-{i}.cdn.example.com", 1) for i in range(40)])
    assert fitted.patterns_["pattern"].tolist() == ["shard-*.cdn.example.com"]
    assert fitted.selected_["is_pattern"].all()
    assert 15 < fitted.patterns_["expected_new"].iloc[0] < 25


def births(**first_days: list[int]) -> pd.DataFrame:
    """Names ``edge-N`` of some subjects, each used daily from its first day of fourteen on."""
    rows = [
        (subject, f"edge-{number}.cdn.example.com", 14 - day, day)
        for subject, days in first_days.items()
        for number, day in enumerate(days)
        if day >= 0
    ]
    return pd.DataFrame(rows, columns=["subject", "name", "days_seen", "first_day"])


def test_trap_G13_what_others_met_tells_what_a_subject_will_meet() -> None:
    """Neither saw growth enough by itself; together they saw three numbers begin on three days."""
    alone = NamePatterns().fit(births(a=[0, 0, 1, 0, -1, 9]), 14)
    assert not len(alone.patterns_)
    both = NamePatterns().fit(births(a=[0, 0, 1, 0, -1, 9], b=[0, 0, 0, 2, 6, 12]), 14)
    assert both.patterns_[["subject", "pattern"]].to_numpy().tolist() == [
        ["a", "edge-*.cdn.example.com"],
        ["b", "edge-*.cdn.example.com"],
    ]


def test_names_without_numbers_need_more_births() -> None:
    """Two new words on two days are two releases; two new numbers are a series."""
    words = births(a=[0, 0, 0, 6, 11])
    assert len(NamePatterns().fit(words, 14).patterns_)
    words["name"] = [f"{word}.cdn.example.com" for word in ("api", "www", "auth", "shop", "blog")]
    assert not len(NamePatterns().fit(words, 14).patterns_)


def test_numbers_that_rose_early_are_births_too() -> None:
    """Who met 0 and 1, then 2, 3 and 4 met the newest each time; in another order they were met late."""
    assert len(NamePatterns().fit(births(a=[0, 0, 1, 2, 3]), 14).patterns_)
    assert not len(NamePatterns().fit(births(a=[3, 2, 1, 0, 0]), 14).patterns_)


def test_one_birth_is_no_growth() -> None:
    """However many use the new name."""
    fitted = NamePatterns().fit(births(a=[0, 0, 0, 9], b=[0, 1, 0, 9], c=[0, 0, 0, 10]), 14)
    assert not len(fitted.patterns_)


def test_stable_names_stay_exact_however_many() -> None:
    """Thirty names that were there every day expect no thirty-first."""
    fitted = fit([(f"svc{i}x.example.com", 14) for i in range(30)])
    assert not len(fitted.patterns_)
    assert (fitted.selected_["selector"] == fitted.selected_["name"]).all()


@pytest.mark.parametrize(
    "suffix",
    ["blob.core.windows.net", "vault.azure.net", "database.windows.net", "azurecr.io", "github.io", "co.uk",
     "s3.amazonaws.com", "storage.googleapis.com", "r2.cloudflarestorage.com", "snowflakecomputing.com",
     "dfs.core.windows.net", "table.core.windows.net", "privatelink.blob.core.windows.net",
     "privatelink.vaultcore.azure.net", "postgres.database.azure.com", "westeurope.cloudapp.azure.com",
     "hcp.westeurope.azmk8s.io", "privatelink.westeurope.kusto.windows.net", "z6.web.core.windows.net",
     "us-east-1.snowflakecomputing.com", "sharepoint.com", "mongodb.net"],
)  # fmt: skip
def test_trap_G14_no_wildcard_under_a_shared_suffix(suffix: str) -> None:
    """Any tenant's data plane: names stay exact, and the wildcard is a request to a person."""
    fitted = fit([(f"acct{i}.{suffix}", 1) for i in range(60)], deep_wildcards=True)
    assert not len(fitted.patterns_)
    assert not fitted.selected_["is_pattern"].any()
    if suffix != "co.uk":
        assert fitted.requests_["pattern"].tolist() == [f"acct*.{suffix}"]


@pytest.mark.parametrize("parent", ["windows.net", "amazonaws.com", "core.windows.net", "com", "azure.net"])
def test_an_ancestor_of_a_shared_suffix_is_shared(parent: str) -> None:
    """A wildcard above it would admit what lies under it."""
    assert is_shared(parent)


@pytest.mark.parametrize(
    ("name", "party"),
    [
        ("acme.privatelink.blob.core.windows.net", "acme.privatelink.blob.core.windows.net"),
        ("www.acme.westeurope.cloudapp.azure.com", "acme.westeurope.cloudapp.azure.com"),
        ("acme.eu.auth0.com", "acme.eu.auth0.com"),
        ("acme.auth0.com", "acme.auth0.com"),
        ("management.azure.com", "azure.com"),
        ("privatelink.example.com", "example.com"),
        ("shop.privatelink.co.uk", "privatelink.co.uk"),
    ],
)
def test_what_one_party_holds_ends_before_regions_and_private_zones(name: str, party: str) -> None:
    """Two tenants of a service are two holders, and one tenant is one."""
    assert registrable(name) == party


def test_names_of_one_tenant_may_have_a_pattern() -> None:
    """Below a tenant's own name on a shared suffix everything is the tenant's."""
    fitted = fit([(f"n{i}x.acme.blob.core.windows.net", 1) for i in range(30)])
    assert fitted.patterns_["pattern"].tolist() == ["*.acme.blob.core.windows.net"]


def test_a_few_stable_shared_names_ask_for_nothing() -> None:
    """Three storage accounts are three names, not a question."""
    assert not len(fit([(f"acct{i}.blob.core.windows.net", 14) for i in range(3)]).requests_)


def test_trap_G18_deep_wildcards_only_where_the_cluster_has_them() -> None:
    """Many branches under one domain: one ``**.`` from 1.19 on, one pattern per branch before."""
    rows = [(f"x{i}q.y{i % 3}z.deep.net", 1) for i in range(60)]
    old = fit(rows).patterns_["pattern"]
    new = fit(rows, deep_wildcards=True).patterns_["pattern"]
    assert not old.str.startswith("**").any()
    assert len(old) == 3
    assert new.tolist() == ["**.deep.net"]


def test_a_quarantined_name_is_not_generalised_over() -> None:
    """A pattern that would re-admit it is dropped, also the wider ones."""
    frame = pd.DataFrame(
        [("w", f"shard-{i}.example.com", 1) for i in range(40)],
        columns=["subject", "name", "days_seen"],
    )
    bad = pd.DataFrame([("w", "shard-666.example.com")], columns=["subject", "name"])
    assert not len(NamePatterns(deep_wildcards=True).fit(frame, 14, bad).patterns_)
    other = bad.assign(subject="somebody else")
    assert len(NamePatterns().fit(frame, 14, other).patterns_) == 1


def test_trap_G7_case_and_trailing_dot_make_no_second_name() -> None:
    """One name, two spellings observed."""
    fitted = fit([("API.Example.com.", 3), ("api.example.com", 5)])
    assert fitted.selected_["name"].unique().tolist() == ["api.example.com"]
    assert len(fitted.selected_) == 2


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("db.shop.svc.cluster.local", "inside the cluster"),
        ("4.3.2.1.in-addr.arpa", "reverse lookup"),
        ("*.example.com", "illegal"),
        ("a\nb.example.com", "illegal"),
        ("x" * 64 + ".com", "63"),
        ("a." * 130 + "com", "255"),
        ("localhost", "without a domain"),
        ("10.0.0.1", "address"),
        ("", "empty"),
    ],
)
def test_trap_G15_G17_what_no_rule_can_hold_is_rejected_with_a_reason(name: str, reason: str) -> None:
    """Names are hostile input."""
    assert reason in tidy_name(name)[1]
    fitted = fit([(name, 3)])
    assert len(fitted.rejected_) == 1
    assert not len(fitted.selected_)


def test_trap_G16_an_underscore_is_legal() -> None:
    """Service names have them."""
    assert tidy_name("_sip._tcp.example.com") == ("_sip._tcp.example.com", "")


def test_short_windows_extrapolate_nothing() -> None:
    """Seven days: every name is exact."""
    frame = pd.DataFrame(
        [("w", f"n{i}.example.com", 1) for i in range(50)], columns=["subject", "name", "days_seen"]
    )
    assert not len(NamePatterns().fit(frame, 7).patterns_)


label = st.from_regex(r"[a-z]{1,6}-?[0-9]{0,3}", fullmatch=True).map(lambda text: text.strip("-") or "x")
name = st.builds(
    lambda labels, top: ".".join([*labels, top]),
    st.lists(label, min_size=1, max_size=3),
    st.sampled_from(["example.com", "acme.co.uk", "blob.core.windows.net", "x.github.io"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(name, st.integers(1, 14)), min_size=1, max_size=60), st.booleans())
def test_every_name_is_admitted_by_its_selector_and_none_is_shared(
    rows: list[tuple[str, int]], deep: bool
) -> None:
    """What was learned from is admitted, each name by exactly one selector."""
    fitted = fit(rows, deep_wildcards=deep)
    selected = fitted.selected_
    assert set(selected["name"]) | set(fitted.rejected_["observed"]) >= {text for text, _ in rows}
    assert not selected.duplicated(["subject", "observed"]).any()
    for row in selected.itertuples():
        kind = {"pattern": row.selector} if row.is_pattern else {"name": row.selector}
        assert FqdnSelector(**kind).matches(row.name, deep_wildcards=deep)
        if row.is_pattern:
            assert not is_shared(row.selector.partition(".")[2])


@given(name)
def test_a_registrable_name_is_one_label_above_its_suffix(text: str) -> None:
    """Whatever the list says, the split is consistent."""
    own, suffix = registrable(text), shared_suffix(text)
    assert text == suffix or (own.partition(".")[2] == suffix and text.endswith(own))
