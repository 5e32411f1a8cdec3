"""Long segments: words are kept, whatever joins them, and secrets are not, whatever they contain by chance."""

from __future__ import annotations

import base64
import random
import string

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.sources.redact import REDACTED, route

LONG_WORDS = (
    "account", "aggregated", "collector", "customers", "discovery", "kubernetes", "metrics", "opentelemetry",
    "orders", "reflection", "report", "resources", "server", "service", "stream", "subscriptions", "workflow",
)  # fmt: skip
SHORT_WORDS = ("and", "api", "by", "get", "grpc", "of", "proto", "query", "queue", "the", "trace", "year")
LENGTH = 40


def stored(segment: str) -> str:
    """What is stored of a segment in the middle of a path."""
    text = f"/api/{segment}/x"
    (found,) = duckdb.execute(f"SELECT {route('url')} FROM (SELECT ? AS url)", [text]).fetchone() or ("",)
    assert found.startswith("/api/")
    assert found.endswith("/x")
    return str(found)[5:-2]


@pytest.mark.parametrize(
    "segment",
    [
        "opentelemetry.proto.collector.trace.v1.TraceService",
        "opentelemetry.proto.collector.metrics.v1.MetricsService",
        "envoy.service.discovery.v3.AggregatedDiscoveryService",
        "envoy.service.load_stats.v3.LoadReportingService",
        "grpc.reflection.v1alpha.ServerReflection",
        "google.cloud.speech.v1p1beta1.SpeechService",
        "temporal.api.workflowservice.v1.WorkflowService",
        "GetCustomersAndSubscriptionsOfTheLastYearReport",
        "customers-and-subscriptions-of-the-last-year-report",
        "customers_and_subscriptions_of_the_last_year_report",
    ],
)
def test_trap_H10_services_of_grpc_and_other_words_stay_as_they_are(segment: str) -> None:
    """Who redacts a service into "any service" lets every other one in."""
    assert len(segment) >= LENGTH
    assert stored(segment) == segment


@pytest.mark.parametrize(
    "segment",
    [
        "AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWYqQ",
        "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",
        "whsec-MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw-test",
        "github_pat_11ABCDEFG0aBcDeFgHiJkL_mNoPqRsTuVwXyZ0123456789abcdefgh",
        "550e8400-e29b-41d4-a716-446655440000-550e8400",
        "GEZD-GNBV-GY3T-QOJQ-GEZD-GNBV-GY3T-QOJQ-GEZD-GNBV",
        "ABCD-EFGH-IJKL-MNOP-QRST-UVWX-YZAB-CDEF-GHIJ",
        "abcd-efgh-ijkl-mnop-qrst-uvwx-yzab-cdef-ghij",
        "IjEyMyI.ZxYwVu.kQbW-bqS0zM3VqvXr6sZk8E5K0c",
        "customers-and-subscriptions-4f9a1c03d5e7b286",
        "customers-and-subscriptions-of-4111-1111-1111-1111",
        "thelongestwordthatnobodyeverwroteisnoneofours",
        "d41d8cd98f00b204e9800998ecf8427e_2f1e4b70:rest",
        "aHROcHMtQWxsb3ctbGlzdHMtYW5kLW90aGVycw==",
    ],
)
def test_trap_H5_keys_with_separators_are_no_words(segment: str) -> None:
    """A dot, a dash or an underscore is no sign of words, and one piece that is no word is enough."""
    assert len(segment) >= LENGTH
    assert stored(segment) == REDACTED


@st.composite
def words(draw: st.DrawFn) -> str:
    """At least `LENGTH` characters of words, joined as identifiers are."""
    pairs = st.tuples(st.sampled_from(("", *SHORT_WORDS)), st.sampled_from(LONG_WORDS))
    chosen = [word for pair in draw(st.lists(pairs, min_size=7, max_size=12)) for word in pair if word]
    camel = "".join(word.capitalize() for word in chosen)
    version = draw(st.sampled_from(["v1", "v2", "v1beta1", "v2alpha"]))
    return draw(
        st.sampled_from(
            ["-".join(chosen), "_".join(chosen), ".".join(chosen), ".".join([*chosen, version, camel]), camel]
        )
    )


@st.composite
def secrets(draw: st.DrawFn) -> str:
    """At least `LENGTH` characters of a key in one of the usual spellings, with separators by chance."""
    source = random.Random(draw(st.integers(0, 2**32)))
    raw = source.randbytes(draw(st.integers(32, 64)))
    text = draw(
        st.sampled_from(
            [
                raw.hex(),
                base64.urlsafe_b64encode(raw).decode().rstrip("="),
                base64.b32encode(raw).decode().rstrip("=").lower(),
                "".join(source.choices(string.ascii_letters + string.digits, k=len(raw) + 10)),
                base64.b85encode(raw).decode().translate({ord(one): "a" for one in string.punctuation}),
            ]
        )
    )
    for _ in range(draw(st.integers(0, 5))):
        at = source.randrange(1, len(text))
        text = text[:at] + source.choice("._-") + text[at:]
    return draw(st.sampled_from(["", "customers-", "proto.collector."])) + text


@settings(max_examples=60, deadline=None)
@given(words())
def test_words_are_kept_whatever_joins_them(segment: str) -> None:
    """Dotted, hyphenated, underscored or by capitals."""
    assert stored(segment) == segment


@settings(max_examples=150, deadline=None)
@given(secrets())
def test_secrets_are_taken_out_whatever_separates_them(segment: str) -> None:
    """Also behind words."""
    assert stored(segment) == REDACTED
