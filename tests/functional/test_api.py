"""REST over HTTP on loopback, against the installed program."""

import io
import shutil
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import yaml

from tests.functional.conftest import serving


@pytest.fixture(scope="module")
def api(learned, tmp_path_factory):
    """A server that nobody decides on."""
    folder = tmp_path_factory.mktemp("api")
    shutil.copytree(learned, folder / "data")
    with serving(folder / "data", "--no-scheduler", cwd=folder) as client:
        yield client


@pytest.fixture
def review(learned, tmp_path):
    """A server of one test, to decide on."""
    shutil.copytree(learned, tmp_path / "data")
    with serving(tmp_path / "data", "--no-scheduler", cwd=tmp_path) as client:
        yield client


def first(client, workload="web"):
    """Proposal of a workload with its ETag."""
    items = client.get("/api/v1/proposals").json()["items"]
    key = next(item["key"] for item in items if f"Deployment/{workload}" in item["workloads"])
    answer = client.get(f"/api/v1/proposals/{key}")
    return answer.json(), answer.headers["etag"]


def decide(client, proposal, etag, decision="approve", rule=None, **more):
    """Send a decision."""
    path = f"/api/v1/proposals/{proposal['key']}" + (f"/rules/{rule}" if rule else "") + "/decisions"
    headers = {"If-Match": etag} if etag else {}
    return client.post(path, json={"decision": decision, "reviewer": "ana", **more}, headers=headers)


def test_health_readiness_and_version(api):
    """What an orchestrator asks."""
    assert api.get("/api/v1/health").json() == {"status": "ok"}
    assert api.get("/api/v1/ready").json()["ready"] is True
    assert api.get("/api/v1/version").json()["database_revision"]


def test_what_was_observed_can_be_browsed(api):
    """Clusters, namespaces, workloads, edges."""
    assert [item["nodes"] for item in api.get("/api/v1/clusters").json()["items"]] == [1]
    names = [item["name"] for item in api.get("/api/v1/namespaces").json()["items"]]
    assert names == ["kube-system", "shop"]
    workloads = api.get("/api/v1/workloads", params={"namespace": "shop"}).json()["items"]
    assert [item["name"] for item in workloads] == ["api", "cache", "db", "web"]
    edges = api.get("/api/v1/edges", params={"workload": "web", "direction": "egress"}).json()["items"]
    assert {(edge["peer_workload"], edge["port"]) for edge in edges} == {("api", 8080), ("coredns", 53)}
    assert all(edge["flows"] >= 72 and edge["verdicts"] == ["forwarded"] for edge in edges)
    none = api.get("/api/v1/edges", params={"port": 9, "until": "2026-03-04"}).json()
    assert none == {"items": [], "next_cursor": None}


@pytest.mark.parametrize("path", ["workloads", "edges", "proposals", "runs"])
def test_pages_follow_each_other_without_gap_or_repeat(api, path):
    """A list read by twos is the list."""
    whole = api.get(f"/api/v1/{path}").json()["items"]
    assert len(whole) > 1
    found, cursor = [], None
    for _ in range(len(whole) + 1):
        params = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        page = api.get(f"/api/v1/{path}", params=params).json()
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == whole


def test_proposals_are_filtered(api):
    """By namespace, state, maturity and text."""

    def names(**params):
        return [item["namespace"] for item in api.get("/api/v1/proposals", params=params).json()["items"]]

    assert names(namespace="kube-system") == ["kube-system"]
    assert len(names(state="proposed")) == 5
    assert names(state="approved") == []
    assert names(q="CORED") == ["kube-system"]
    assert names(q="%") == []
    assert names(maturity="stable") == []


def test_a_manifest_is_yaml(api):
    """The media type and a document that Cilium would take."""
    proposal, _ = first(api)
    answer = api.get(f"/api/v1/proposals/{proposal['key']}/manifest")
    assert answer.headers["content-type"].startswith("application/yaml")
    assert yaml.safe_load(answer.text) == proposal["manifest"]
    kubernetes = api.get(f"/api/v1/proposals/{proposal['key']}/manifest", params={"kind": "kubernetes"})
    assert yaml.safe_load(kubernetes.text)["kind"] == "NetworkPolicy"
    refused = api.get(f"/api/v1/proposals/{proposal['key']}/manifest", params={"mode": "shadow"})
    assert refused.status_code == 422
    assert api.get(f"/api/v1/proposals/{proposal['key']}/manifest?state=approved").status_code == 404


def test_a_decision_needs_the_state_it_was_made_on(review):
    """428 without If-Match, 412 with an old one, 200 with the right one."""
    proposal, etag = first(review)
    assert decide(review, proposal, None).status_code == 428
    done = decide(review, proposal, etag)
    assert (done.status_code, done.json()["state"]) == (200, "approved")
    assert done.headers["etag"] != etag
    late = decide(review, proposal, etag, "reject", reason="too late")
    assert (late.status_code, late.json()["type"]) == (412, "urn:portolan:problem:precondition-failed")
    again = decide(review, proposal, done.headers["etag"])
    assert again.status_code == 409
    record = review.get(f"/api/v1/proposals/{proposal['key']}/decisions").json()["items"]
    assert [(one["decision"], one["reviewer"], one["version"]) for one in record] == [("approve", "ana", 1)]


def test_two_reviewers_at_once_cannot_both_win(review):
    """The same ETag, many requests: one is done, the others are told."""
    proposal, etag = first(review)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: decide(review, proposal, etag).status_code, range(8)))
    assert sorted(answers) == [200] + [412] * 7
    assert len(review.get(f"/api/v1/proposals/{proposal['key']}/decisions").json()["items"]) == 1


def test_a_rule_can_be_rejected_and_reopened(review):
    """The manifest follows, and the reason is kept."""
    proposal, etag = first(review, "api")
    rule = next(rule for rule in proposal["rules"] if {"protocol": "TCP", "port": 5432} in rule["ports"])
    assert decide(review, proposal, etag, "reject", rule["id"]).status_code == 422
    done = decide(review, proposal, etag, "reject", rule["id"], reason="moved away")
    assert "5432" not in str(done.json()["manifest"])
    assert done.json()["rejected_rules"][0]["reason"] == "moved away"
    back = decide(review, proposal, done.headers["etag"], "reopen", rule["id"])
    assert "5432" in str(back.json()["manifest"])
    assert decide(review, proposal, "*", "reject", "no-such-rule", reason="x").status_code == 404


def test_everything_approved_is_exported_in_one_answer(review):
    """As YAML documents and as an archive, byte for byte the same each time."""
    assert review.get("/api/v1/export").text == ""
    for workload in ("web", "db"):
        proposal, etag = first(review, workload)
        assert decide(review, proposal, etag).status_code == 200
    documents = list(yaml.safe_load_all(review.get("/api/v1/export").text))
    assert [one["metadata"]["namespace"] for one in documents] == ["shop", "shop"]
    answers = [review.get("/api/v1/export", params={"form": "zip"}).content for _ in range(2)]
    assert answers[0] == answers[1]
    with zipfile.ZipFile(io.BytesIO(answers[0])) as archive:
        assert len(archive.namelist()) == 2
        assert yaml.safe_load(archive.read(archive.namelist()[0])) == documents[0]


def test_a_run_is_started_watched_and_listed(review):
    """202, a place to look, an outcome; and 409 while the same is under way."""
    answer = review.post("/api/v1/runs", json={"kind": "infer"})
    assert answer.status_code == 202
    second = review.post("/api/v1/runs", json={"kind": "infer"})
    assert second.status_code in {202, 409}
    place = answer.headers["location"]
    deadline = time.monotonic() + 120
    while (run := review.get(place).json())["outcome"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert (run["outcome"], run["trigger"], run["counts"]["unchanged"]) == ("done", "api", 5)
    assert run["seconds"] > 0
    assert review.get("/api/v1/runs", params={"kind": "infer"}).json()["items"][0]["trigger"] == "api"
    assert review.post("/api/v1/runs", json={"kind": "pull", "source": "nope"}).status_code == 422
    assert review.post("/api/v1/runs", json={"kind": "pull"}).status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/proposals/gone", 404),
        ("GET", "/api/v1/proposals/..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/static/..%2f..%2fsettings.py", 404),
        ("GET", "/api/v1/runs/00000000000000000000000000000000", 404),
        ("DELETE", "/api/v1/proposals", 405),
        ("GET", "/api/v1/proposals?limit=0", 422),
        ("GET", "/api/v1/proposals?limit=many", 422),
        ("GET", "/api/v1/proposals?cursor=xyz", 422),
        ("GET", "/api/v1/runs?cursor=WyJhIiwiYiJd", 422),
        ("GET", "/api/v1/edges?since=tomorrow", 422),
        ("GET", "/api/v1/edges?cursor=WzFd", 422),
        ("GET", "/api/v1/proposals?state=odd", 422),
        ("GET", "/api/v1/export?cluster=%00", 422),
        ("GET", "/api/v1/export?namespaces=shop", 422),
        ("GET", "/api/v1/health?x=1", 422),
    ],
)
def test_every_error_is_a_problem_document(api, method, path, status):
    """One shape, no traceback, no HTML."""
    answer = api.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["type"].startswith("urn:portolan:problem:")
    assert "Traceback" not in answer.text


def test_head_is_answered_wherever_get_is(api):
    """Probes and scripts ask for the ETag, or whether it is there, without wanting the answer."""
    key = first(api)[0]["key"]
    for path in ("/api/v1/health", f"/api/v1/proposals/{key}", "/", "/api/v1/nothing"):
        whole, head = api.get(path), api.head(path)
        assert (head.status_code, head.content) == (whole.status_code, b""), path
        for name in ("content-type", "etag", "content-security-policy", "content-length"):
            assert head.headers.get(name) == whole.headers.get(name), (path, name)
    assert api.head(f"/api/v1/proposals/{key}/decisions").status_code == 200


def test_other_sites_cannot_decide(api):
    """A page of somebody else, a form, a name that was pointed at loopback."""
    proposal, etag = first(api)
    path = f"/api/v1/proposals/{proposal['key']}/decisions"
    body = {"decision": "approve", "reviewer": "mallory"}
    for headers, status in (
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ):
        answer = api.post(path, json=body, headers={"If-Match": etag, **headers})
        assert answer.status_code == status, headers
        assert answer.headers["content-type"] == "application/problem+json"
    assert api.get("/api/v1/clusters", headers={"Host": "evil.example"}).status_code == 421
    large = api.post(path, json=body | {"reason": "x" * 100_000}, headers={"If-Match": etag})
    assert large.status_code == 413
    chunked = api.post(
        path,
        content=(b"x" * 10_000 for _ in range(10)),
        headers={"If-Match": etag, "Content-Type": "application/json"},
    )
    assert chunked.status_code == 413
    assert first(api)[1] == etag


def test_answers_carry_security_headers(api):
    """On pages, on JSON and on errors."""
    for path in ("/proposals", "/api/v1/health", "/api/v1/nothing", "/static/portolan.css"):
        headers = api.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


def test_a_decision_is_checked_before_it_is_read(api):
    """Unknown fields, odd verbs and control characters are refused."""
    proposal, etag = first(api)
    for change in (
        {"decision": "maybe"},
        {"reviewer": ""},
        {"reviewer": "a\x1b[31m"},
        {"extra": 1},
        {"include_flagged": "perhaps"},
        {"reason": 5},
    ):
        path = f"/api/v1/proposals/{proposal['key']}/decisions"
        body = {"decision": "approve", "reviewer": "ana"} | change
        answer = api.post(path, json=body, headers={"If-Match": etag})
        assert answer.status_code == 422, change
        assert answer.json()["errors"]


def test_pages_show_the_same(api):
    """List, proposal, runs: HTML with everything escaped and nothing inline."""
    proposal, etag = first(api)
    listing = api.get("/proposals")
    assert proposal["key"] in listing.text
    page = api.get(f"/proposals/{proposal['key']}").text
    assert etag.strip('"') in page
    assert proposal["rules"][0]["id"] in page
    assert "kind: CiliumNetworkPolicy" in page
    assert "<script>" not in page
    assert " style=" not in page
    assert "infer" in api.get("/runs").text
    assert api.get("/", follow_redirects=True).url.path == "/proposals"


def test_one_server_per_port(api, portolan, tmp_path):
    """A port in use is an error in one line."""
    port = httpx.URL(str(api.base_url)).port
    refused = portolan("serve", "--port", port, "--data-dir", tmp_path / "data", code=1)
    assert f"cannot listen on 127.0.0.1, port {port}" in refused.stderr
