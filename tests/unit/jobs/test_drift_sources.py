"""Deployed policies from a cluster, denials from Prometheus: over real HTTP on this machine."""

import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from jobs.cron_jobs import read_cron_jobs
from jobs.drift_cluster import read_cluster
from jobs.drift_counters import count_denials
from models.domain.window import Window
from models.errors import UnsupportedError

WINDOW = Window(datetime(2026, 3, 14, tzinfo=UTC), datetime(2026, 3, 15, tzinfo=UTC))
POLICY = {
    "metadata": {"name": "web", "namespace": "shop", "creationTimestamp": "2026-03-01T00:00:00Z"},
    "spec": {"endpointSelector": {}, "ingress": [{}]},
}


class Server:
    """Answers by path; remembers what it was asked."""

    def __init__(self, answers):
        self.asked = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path = urlsplit(self.path)
                outer.asked.append((path.path, parse_qs(path.query)))
                status, body = answers(path.path, parse_qs(path.query), len(outer.asked))
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                """Keep the test's output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def serve():
    """Start servers, and stop them at the end."""
    started = []

    def start(answers):
        started.append(Server(answers))
        return started[-1]

    yield start
    for one in started:
        one.server.shutdown()
        one.server.server_close()


def kubeconfig(tmp_path, url):
    """What kubectl would read."""
    form = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(form))
    return str(path)


def status(code, message):
    return code, {"kind": "Status", "status": "Failure", "code": code, "message": message}


def test_policies_of_all_pages_are_read_and_absent_kinds_passed_over(tmp_path, monkeypatch, serve):
    """Two pages of one kind; a cluster without CIDR groups."""

    def answers(path, query, _):
        if path.endswith("/ciliumnetworkpolicies"):
            if "continue" in query:
                second = POLICY | {"metadata": POLICY["metadata"] | {"name": "api"}}
                return 200, {"items": [second], "metadata": {}}
            return 200, {"items": [POLICY], "metadata": {"continue": "more"}}
        if "cidrgroups" in path or "clusterwide" in path:
            return status(404, "the server could not find the requested resource")
        return 200, {"items": [], "metadata": {}}

    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, serve(answers).url))
    objects, complete = read_cluster()
    assert [one["metadata"]["name"] for one in objects] == ["api", "web"]
    assert {one["kind"] for one in objects} == {"CiliumNetworkPolicy"}
    assert complete


def test_a_cluster_that_hides_its_policies_is_an_error_and_one_that_hides_services_is_not(
    tmp_path, monkeypatch, serve
):
    """Without policies there is nothing to say; without Services rules that name one are undecided."""

    def hides(what):
        def answers(path, *_):
            return status(403, "forbidden") if what in path else (200, {"items": [], "metadata": {}})

        return answers

    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, serve(hides("networkpolicies")).url))
    with pytest.raises(UnsupportedError, match="forbidden"):
        read_cluster()
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, serve(hides("services")).url))
    assert read_cluster() == ([], False)


def test_cron_jobs_come_from_files_and_from_the_cluster(tmp_path, monkeypatch, serve):
    """Both together; a cluster that hides them is one clear sentence."""
    job = {"metadata": {"name": "nightly", "namespace": "shop"}, "spec": {"schedule": "0 3 * * *"}}
    shown = serve(lambda *_: (200, {"items": [job], "metadata": {}}))
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, shown.url))
    checkout = tmp_path / "jobs.yaml"
    checkout.write_text(json.dumps(job | {"kind": "CronJob", "metadata": {"name": "weekly"}}))
    found, refused = read_cron_jobs([checkout], from_cluster=True)
    assert [(one.namespace, one.name) for one in found] == [("default", "weekly"), ("shop", "nightly")]
    assert refused == ()
    assert shown.asked[0][0] == "/apis/batch/v1/cronjobs"
    hidden = serve(lambda *_: status(403, "forbidden"))
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, hidden.url))
    with pytest.raises(UnsupportedError, match="does not show its cronjobs: forbidden"):
        read_cron_jobs([], from_cluster=True)


def test_no_cluster_is_one_clear_sentence(tmp_path, monkeypatch):
    """Nobody sees a traceback for a missing file."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))
    with pytest.raises(UnsupportedError, match="no cluster to read from"):
        read_cluster()


def test_denials_are_read_from_whichever_counter_there_is(serve):
    """Cilium's counter is not scraped here, Hubble's is."""

    def answers(_path, query, _):
        known = "hubble_drop_total" in query["query"][0]
        result = [{"value": [1773532800, "4711"]}] if known else []
        return 200, {"status": "success", "data": {"result": result}}

    server = serve(answers)
    assert count_denials(server.url, WINDOW) == 4711.0
    assert "[86400s]" in server.asked[0][1]["query"][0]
    assert float(server.asked[0][1]["time"][0]) == WINDOW.end.timestamp()


def test_a_report_does_not_fail_for_prometheus(serve):
    """Broken, or not there: the counters are left out."""
    assert count_denials(serve(lambda *_: (500, {})).url, WINDOW) is None
    assert count_denials("http://127.0.0.1:9", WINDOW) is None
