"""Label sets, owners, names and policies out of their JSON texts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.sources import labels


def test_trap_F11_a_label_is_split_once_and_keeps_its_source() -> None:
    """``=`` inside a value, keys without a value, sources other than k8s."""
    row = labels.label_row(
        '["k8s:app=a=b","k8s:io.kubernetes.pod.namespace=shop","k8s:io.cilium.k8s.policy.cluster=prod","any:x"]'
    )
    assert (row.namespace, row.cluster_label, row.entity) == ("shop", "prod", "")
    assert json.loads(row.labels) == sorted(json.loads(row.labels))
    assert "k8s:app=a=b" in json.loads(row.labels)


@pytest.mark.parametrize(
    ("found", "entity"),
    [
        (["reserved:world", "reserved:kube-apiserver"], "kube-apiserver"),
        (["reserved:host", "reserved:kube-apiserver"], "kube-apiserver"),
        (["reserved:remote-node", "reserved:kube-apiserver"], "kube-apiserver"),
        (["reserved:remote-node", "reserved:host"], "host"),
        (["reserved:world", "reserved:remote-node"], "remote-node"),
        (["reserved:world-ipv4"], "world"),
        (["cidr:10.0.0.0/8", "reserved:world-ipv6"], "world"),
        (["cidr:20.50.60.70/32"], "world"),
        (["fqdn:api.example.com", "reserved:world"], "world"),
        (["reserved:unknown"], "unknown"),
        (["k8s:app=web"], ""),
        ([], ""),
    ],
)
def test_trap_E5_E2_E3_the_entity_follows_the_precedence(found: list[str], entity: str) -> None:
    """The API server is world or a node besides; addresses outside are world in either family."""
    assert labels.label_row(json.dumps(found)).entity == entity


@given(st.lists(st.text(max_size=12), max_size=6), st.randoms())
def test_the_key_depends_on_the_labels_alone(found: list[str], shuffle: object) -> None:
    """Not on their order, their number of copies or the spacing of the JSON."""
    mixed = found + found[:2]
    shuffle.shuffle(mixed)  # type: ignore[attr-defined]
    one = labels.label_row(json.dumps(found, separators=(",", ":")))
    assert one == labels.label_row(json.dumps(mixed, indent=1))
    assert (one.label_key == "") == (not found)


def test_what_is_no_list_of_labels_has_no_key() -> None:
    """Wrong types are data without labels."""
    for text in ("5", "{}", "[1,2]", "not json", "null", "[]"):
        assert labels.label_row(text).label_key == ""
    assert labels.label_row('["a",1,"b"]') == labels.label_row('["a","b"]')


def test_owners_names_and_policies_of_odd_texts_are_empty() -> None:
    """Nothing raises; a name with the separator in it is none."""
    for text in ("5", "[]", "[5]", "{", '[{"name":5}]'):
        assert labels.owner(text) == ("", "")
        assert labels.policies(text) in {"", "//5"}
    assert labels.names('["b.","A","x,y",""]') == "a,b"
    assert labels.owner('[{"name":"web","kind":"Deployment"},{"name":"other"}]') == ("web", "Deployment")
