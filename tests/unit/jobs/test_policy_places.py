"""Places of rules in files: the line a person has to open."""

import json

import pytest

from jobs.policy_files import read_objects
from jobs.policy_places import PolicyPlaces
from models.domain.policy import PolicyRef
from models.errors import BadInputError

TEXT = """\
# a comment
kind: Service
metadata: {name: x}
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  endpointSelector: {}
  egress:
    - toEntities: [world]
    - toEntities: [host]
      toPorts:
        - ports: [{port: "1"}]
        - ports:
            - port: "2"
---
kind: List
items:
  - kind: CiliumClusterwideNetworkPolicy
    metadata: {name: all}
    specs:
      - endpointSelector: {}
        ingressDeny:
          - fromEntities: [world]
"""
DB = PolicyRef("CiliumNetworkPolicy", "shop", "db")
ALL = PolicyRef("CiliumClusterwideNetworkPolicy", "", "all")


@pytest.mark.parametrize(
    ("policy", "rule", "line"),
    [
        (DB, "", 5),
        (DB, "egress[1]", 12),
        (DB, "egress[1].toPorts[1]", 15),
        (DB, "egress[9]", 11),
        (ALL, "specs[0].ingressDeny[0]", 25),
    ],
)
def test_a_rule_has_its_line(tmp_path, policy, rule, line):
    """Also in the second document and inside a list; a path that is not there gives the nearest one above."""
    (tmp_path / "p.yaml").write_text(TEXT)
    places = PolicyPlaces.read([tmp_path])
    assert places.where(policy, rule) == f"{tmp_path / 'p.yaml'}:{line}"
    assert places.objects == read_objects([tmp_path])


def test_json_has_lines_too_and_other_policies_have_none(tmp_path):
    """JSON is YAML; a policy of no file has no place."""
    manifest = {"kind": "NetworkPolicy", "metadata": {"name": "n"}, "spec": {"ingress": [{}]}}
    (tmp_path / "p.json").write_text(json.dumps(manifest, indent=1))
    places = PolicyPlaces.read([tmp_path / "p.json"])
    assert places.where(PolicyRef("NetworkPolicy", "default", "n"), "ingress[0]").endswith("p.json:8")
    assert places.where(DB) == ""


def test_what_is_no_object_is_refused_with_its_file(tmp_path):
    """As by the plain reader."""
    (tmp_path / "s.yaml").write_text("just text")
    with pytest.raises(BadInputError, match=r"s\.yaml: document 1 is no Kubernetes object"):
        PolicyPlaces.read([tmp_path])
