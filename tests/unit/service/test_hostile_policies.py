"""Hostile policy files through the commands: a clear error or an answer, in bounded time and memory."""

import json
import resource
import sys
import time

import pytest
import yaml

from service.cli import run

LIMIT_SECONDS = 30  # CPU; generous, for the slowest machine that runs the tests
LIMIT_BYTES = 600 << 20  # growth of the peak

ONE = """\
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: p%d, namespace: shop}
spec: {endpointSelector: {}, ingress: [{fromEntities: [world]}]}
"""
FLOW = {
    "flow": {
        "verdict": "FORWARDED",
        "is_reply": False,
        "traffic_direction": "INGRESS",
        "event_type": {"type": 129},
        "l4": {"TCP": {"destination_port": 8080}},
        "l7": {"type": "REQUEST", "http": {"method": "GET", "url": f"http://x/{'a' * 5000}"}},
        "source": {"labels": ["k8s:app=a", "k8s:io.kubernetes.pod.namespace=shop"]},
        "destination": {"labels": ["k8s:app=b", "k8s:io.kubernetes.pod.namespace=shop"]},
    }
}


def reading(expression):
    """A policy whose HTTP rule has this path."""
    http = {"ports": [{"port": "8080", "protocol": "TCP"}], "rules": {"http": [{"path": expression}]}}
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "re", "namespace": "shop"},
        "spec": {"endpointSelector": {}, "ingress": [{"toPorts": [http]}]},
    }


def bomb():
    """Nine levels of nine aliases: a billion values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    return "\n".join(lines)


def merges():
    """Forty levels of merge keys, each twice the one before."""
    lines = ["a0: &a0 {k0: 1}"]
    return "\n".join(
        [*lines, *(f"a{n}: &a{n}\n  <<: [*a{n - 1}, *a{n - 1}]\n  k{n}: 1" for n in range(1, 40))]
    )


COMMANDS = (
    ("simulate", "--policies", "p.yaml", "--flows", "flow.json"),
    ("simulate", "--policies", "p.yaml", "--against", "p.yaml", "--flows", "flow.json"),
    ("check", "--policies", "p.yaml"),
    ("explain", "--flow", "flow.json", "--policies", "p.yaml"),
)
NOTHING = "there is no policy"
HOSTILE = {
    "alias-bomb": (bomb, "aliases are unfolded"),
    "merge-bomb": (merges, "aliases are unfolded"),
    "deep-lists": (lambda: "a: " + "[" * 10_000 + "]" * 10_000, "nests deeper"),
    "deep-maps": (lambda: "{a: " * 10_000 + "1" + "}" * 10_000, "nests deeper"),
}
EXPRESSIONS = {
    "repetition-of-repetition": ("(((a{1000}){1000}){1000})", "no expression that RE2 compiles"),
    "alternatives": (
        "(" + "|".join(f"x{n}.*y{n}" for n in range(50_000)) + ")",
        "no expression that RE2 compiles",
    ),
    "nested-groups": ("(" * 5000 + "a" + ")" * 5000, "no expression that RE2 compiles"),
    "catastrophic-elsewhere": ("/(a+)+$" * 20, ""),
    "longer-than-the-server-takes": ("a" * 2_000_000, "an API server keeps at most"),
}


@pytest.fixture
def asked(tmp_path, monkeypatch, capfd):
    """Asks a policy file by every command that reads policies; gives exit codes and what was said."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flow.json").write_text(json.dumps(FLOW), encoding="utf-8")

    def ask(text, commands=COMMANDS):
        (tmp_path / "p.yaml").write_text(text, encoding="utf-8")
        found = []
        for arguments in commands:
            before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            code = run(list(arguments))
            said = capfd.readouterr()
            assert time.process_time() - before[0] < LIMIT_SECONDS, arguments
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before[1]
            assert grown * (1024 if sys.platform == "linux" else 1) < LIMIT_BYTES, arguments
            found.append((arguments[0], code, said.out + said.err))
        assert not (tmp_path / ".portolan").exists()
        return found

    return ask


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_an_error_that_names_it(name, asked):
    """Refused before anything is built from it."""
    make, sentence = HOSTILE[name]
    for _, code, said in asked(make()):
        assert (code, sentence in said) == (2, True), said


def test_a_hundred_thousand_documents_are_too_many_or_nothing(asked):
    """Policies of as many names are refused by their size; as many empty documents hold no policy."""
    many = "---\n".join(ONE % number for number in range(100_000))
    [(_, code, said)] = asked(many, COMMANDS[2:3])
    assert (code, "holds more than 2000000 values" in said) == (2, True), said
    empty = asked("---\n" * 100_000, (COMMANDS[0], COMMANDS[2]))
    assert [(code, NOTHING in said) for _, code, said in empty] == [(2, True), (2, True)]


def test_a_huge_file_is_refused_unread(asked, tmp_path):
    """Fifty megabytes: the size alone decides."""
    for _, code, said in asked("# " + "x" * (50 << 20)):
        assert code == 2
        assert "p.yaml: " in said
        assert "bytes are more than" in said


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_made_to_hang_is_answered(name, asked):
    """RE2 compiles it within its budget or the policy counts as refused; either way there is an answer."""
    expression, sentence = EXPRESSIONS[name]
    found = asked(yaml.safe_dump(reading(expression)))
    assert all(code in {0, 1} for _, code, _ in found), found
    assert any(sentence in said for _, _, said in found)


def test_thousands_of_name_patterns_are_answered(asked):
    """Patterns full of wildcards against a long name."""
    patterns = [{"matchPattern": f"*{'a*' * 100}{n}.com"} for n in range(2000)]
    policy = reading("/")
    policy["spec"] = {"endpointSelector": {}, "egress": [{"toFQDNs": patterns}]}
    assert all(code in {0, 1} for _, code, _ in asked(yaml.safe_dump(policy)))
