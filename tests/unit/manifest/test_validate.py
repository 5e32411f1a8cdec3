"""Our linter refuses what Cilium refuses: the real CRD schemas, and the agent's own checks."""

import copy
import functools
import ipaddress
import time
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.generate import generate
from models.domain.agent import NEWEST, AgentConfig, release
from models.errors import UnsupportedError
from models.manifest.validate import problems
from models.manifest.validate_nodes import MAX_PROBLEMS, Node
from models.manifest.validate_schema import rule_schema
from tests.support import shared_path

CRDS = {"1.17": "1.17/", "1.18": "1.18/", "1.19": "1.19/", "1.20": ""}


def cnp(**spec: Any) -> dict[str, Any]:
    """A CiliumNetworkPolicy."""
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "p", "namespace": "shop"},
        "spec": {"endpointSelector": {}} | spec,
    }


@functools.lru_cache(maxsize=8)
def crd_spec(version: str) -> dict[str, Any]:
    """The ``spec`` schema of a release's CRD."""
    path = shared_path(f"data/crds/{CRDS[version]}ciliumnetworkpolicies.yaml")
    document = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


def _paths(schema: dict[str, Any], at: str = "") -> Iterator[str]:
    for key, member in schema.get("properties", {}).items():
        yield f"{at}.{key}"
        yield from _paths(member, f"{at}.{key}")
    if isinstance(schema.get("items"), dict):
        yield from _paths(schema["items"], f"{at}[]")


def _our_paths(node: Node, at: str = "") -> Iterator[str]:
    for key, member in node.properties.items():
        yield f"{at}.{key}"
        yield from _our_paths(member, f"{at}.{key}")
    if node.item is not None:
        yield from _our_paths(node.item, f"{at}[]")


@pytest.mark.parametrize("version", sorted(CRDS))
def test_the_schema_knows_exactly_the_fields_of_the_crd(version: str) -> None:
    """No field is missing and none is invented, but for those that only released builds carry."""
    known = {path for path in _paths(crd_spec(version)) if "Requires" not in path}
    ours = {path for path in _our_paths(rule_schema(version)) if "Requires" not in path}
    assert ours - known == set()
    assert known - ours == set()


def _in_schema(schema: dict[str, Any]) -> dict[str, Any]:
    if isinstance(schema, dict):
        return {
            key: _in_schema(value)
            for key, value in schema.items()
            # RE2 has a class that Python lacks; strings of it do not occur in these cases.
            if not (key == "pattern" and isinstance(value, str) and "\\PC" in value)
        } | (
            {"additionalProperties": False}
            if "properties" in schema and schema.get("type") == "object"
            else {}
        )
    return [_in_schema(item) for item in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize("version", ["1.17", "1.20"])
def test_trap_L4_generated_rules_are_judged_as_the_crd_judges_them(version: str) -> None:
    """On valid and spoilt rules our schema and a general validator on the CRD agree."""
    checker = jsonschema.FormatChecker(formats=())

    @checker.checks("cidr")
    def _is_prefix(text: object) -> bool:
        try:
            return isinstance(text, str) and "/" in text and bool(ipaddress.ip_network(text, strict=False))
        except ValueError:
            return False

    validator = jsonschema.Draft7Validator(
        _in_schema(copy.deepcopy(crd_spec(version))), format_checker=checker
    )
    wrong, refused = [], 0
    for case in generate(250, 5, cilium_version=version):
        for policy in case["policies"]:
            if policy["kind"] == "NetworkPolicy" or "spec" not in policy:
                continue
            theirs = not validator.is_valid(policy["spec"])
            ours = any(p.kind != "agent" for p in problems(policy, cilium_version=version))
            refused += theirs
            if theirs != ours:
                wrong.append((policy, [str(p) for p in problems(policy, cilium_version=version)]))
    assert wrong == []
    assert refused > 5


@pytest.mark.parametrize(
    ("spec", "path", "kind"),
    [
        ({"ingress": []}, "spec", "agent"),
        ({}, "spec", "schema"),
        ({"ingress": [{"fromEntities": ["internet"]}]}, "spec.ingress[0].fromEntities[0]", "schema"),
        ({"ingress": [{"fromEndpoints": None}]}, "spec.ingress[0].fromEndpoints", "schema"),
        ({"egress": [{"toFQDN": []}]}, "spec.egress[0].toFQDN", "unknown field"),
        ({"egress": [{"toCIDR": ["10.0.0.1"]}]}, "spec.egress[0].toCIDR[0]", "schema"),
        ({"egress": [{"toCIDR": ["10.0.0.0/8"], "toEntities": ["all"]}]}, "spec.egress[0]", "agent"),
        (
            {"egress": [{"toPorts": [{"ports": [{"port": 80}]}]}]},
            "spec.egress[0].toPorts[0].ports[0].port",
            "schema",
        ),
        (
            {
                "egress": [
                    {"toPorts": [{"ports": [{"port": "80", "protocol": "UDP"}], "rules": {"http": [{}]}}]}
                ]
            },
            "spec.egress[0].toPorts[0].ports[0].protocol",
            "agent",
        ),
        (
            {
                "ingress": [
                    {
                        "toPorts": [
                            {"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{"path": "("}]}}
                        ]
                    }
                ]
            },
            "spec.ingress[0].toPorts[0].rules.http[0].path",
            "agent",
        ),
        ({"nodeSelector": {}, "ingress": [{}]}, "spec", "schema"),
    ],
)
def test_trap_L4_a_problem_has_its_place_and_its_gate(spec: dict[str, Any], path: str, kind: str) -> None:
    """Who refuses it and where."""
    found = problems(cnp(**spec))
    assert (path, kind) in [(p.path, p.kind) for p in found]


@pytest.mark.parametrize(
    ("direction", "ports", "rules"),
    [
        ("egress", [("80", "TCP")], {"http": [{}], "dns": [{"matchPattern": "*"}]}),
        ("ingress", [("80", "UDP")], {"http": [{"method": "GET"}]}),
        ("ingress", [("80", "ANY")], {"http": [{"method": "GET"}]}),
        ("ingress", [("0", "TCP")], {"http": [{"method": "GET"}]}),
        ("ingress", [("53", "UDP")], {"dns": [{"matchPattern": "*"}]}),
        ("egress", [], {"dns": [{"matchPattern": "*"}]}),
    ],
)
def test_trap_H7_requests_are_looked_at_on_one_tcp_port_and_questions_on_the_way_out(
    direction: str, ports: list[tuple[str, str]], rules: dict[str, Any]
) -> None:
    """One kind of layer 7 per port, on a port that has a number; the agent refuses anything else."""
    listed = [{"port": port, "protocol": protocol} for port, protocol in ports]
    element = {"rules": rules} | ({"ports": listed} if listed else {})
    assert problems(cnp(**{direction: [{"toPorts": [element]}]}))


def test_what_is_right_has_no_problems() -> None:
    """A usual policy passes in every release."""
    dns = {"ports": [{"port": "53", "protocol": "ANY"}], "rules": {"dns": [{"matchPattern": "*"}]}}
    policy = cnp(
        egress=[
            {"toEndpoints": [{"matchLabels": {"k8s-app": "kube-dns"}}], "toPorts": [dns]},
            {
                "toFQDNs": [{"matchName": "a.com"}],
                "toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}],
            },
        ],
        enableDefaultDeny={"egress": False},
    )
    assert [problems(policy, cilium_version=v) for v in ("1.16", "1.17", "1.18", "1.19", NEWEST)] == [[]] * 5


@pytest.mark.parametrize(
    ("manifest", "path"),
    [
        ({"kind": "Deployment"}, "kind"),
        ({"kind": ["x"]}, "kind"),
        (cnp(ingress=[{}]) | {"apiVersion": "cilium.io/v1"}, "apiVersion"),
        (cnp(ingress=[{}]) | {"metadata": None}, "metadata"),
        (cnp(ingress=[{}]) | {"metadata": {"name": "A_b"}}, "metadata.name"),
        (cnp(ingress=[{}]) | {"specs": {}}, "specs"),
        (cnp(ingress=[{}]) | {"spec": None}, "spec"),
        (cnp(ingress=[{}]) | {"extra": 1}, "'extra'"),
    ],
)
def test_the_frame_of_an_object_is_checked_too(manifest: dict[str, Any], path: str) -> None:
    """Kind, version, name and top-level fields."""
    assert path in [p.path for p in problems(manifest)]


def test_trap_L5_an_object_that_etcd_would_refuse_is_named_with_its_size() -> None:
    """The whole object, and all of its annotations, have limits of their own."""
    addresses = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}/32" for n in range(110_000)]
    large = cnp(ingress=[{"fromCIDR": addresses}])
    assert [(one.path, "split the policy" in one.message) for one in problems(large)] == [("spec", True)]
    assert problems(cnp(ingress=[{"fromCIDR": addresses[:50_000]}])) == []
    noted = cnp(ingress=[{"fromEntities": ["world"]}])
    noted["metadata"] = noted["metadata"] | {"annotations": {"a": "x" * 200_000, "b": "ü" * 40_000}}
    assert [one.path for one in problems(noted)] == ["metadata.annotations"]


def test_an_expression_made_to_hang_does_not() -> None:
    """RE2 compiles or refuses it, and matches in linear time."""
    start = time.monotonic()
    for path in ("(a+)+$" * 500, "(" * 20_000, "(a{1000}){1000}", "a" * 100_000):
        rules = {"http": [{"path": path}]}
        element = {"ports": [{"port": "80", "protocol": "TCP"}], "rules": rules}
        problems(cnp(ingress=[{"toPorts": [element]}]))
    assert time.monotonic() - start < 10


def test_the_list_of_problems_is_bounded() -> None:
    """A file of nothing but mistakes does not fill the memory with messages."""
    assert len(problems(cnp(ingress=[{"fromEntities": ["x"] * 100_000}]))) == MAX_PROBLEMS


def test_an_unknown_old_release_is_refused() -> None:
    """Guessing the past would give an old cluster today's meaning."""
    for version in ("1.9", "latest", "", "1"):
        with pytest.raises(UnsupportedError):
            release(version)
    assert release("v1.18.6").name == "1.18"
    assert release("2.0").name == NEWEST


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
KEYS = [
    "ingress", "egress", "ingressDeny", "endpointSelector", "nodeSelector", "fromEndpoints", "toPorts", "ports", "port",
    "rules", "http", "dns", "matchLabels", "matchExpressions", "toCIDRSet", "icmps", "fields", "toFQDNs", "labels",
]  # fmt: skip
shaped = st.recursive(
    json_values,
    lambda inner: st.dictionaries(st.sampled_from(KEYS), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=20,
)


@settings(max_examples=100)
@given(shaped, st.sampled_from(["CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy", "NetworkPolicy"]))
def test_any_value_in_place_of_a_spec_gives_problems_not_exceptions(spec: Any, kind: str) -> None:
    """Hostile shapes end in a list of problems."""
    manifest = cnp() | {"kind": kind, "spec": spec}
    for config in (AgentConfig(), AgentConfig(cilium_version="1.16", extended_protocols=True)):
        assert isinstance(problems(manifest, config=config), list)
