"""Drift in the review state: snapshots, states of findings, rules of silence, messages, metrics, pages."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape

import httpx
import pytest
from starlette.testclient import TestClient

from models.domain.window import Window
from models.drift.find import DriftInput, find_drift
from models.drift.timeline import Snapshot
from service.configfile import load_settings
from service.drift import notify, repository, snapshots
from service.drift.render import html, markdown
from service.drift.service import Told
from service.drift.snapshots import Deployed
from service.main import create_app
from service.settings import DriftSettings
from service.wiring import open_portolan
from tests.unit.drift.nights import LAST, cluster, parts, policies_of

NIGHT = datetime(2026, 3, 29, 3, tzinfo=UTC)
RUN = "0" * 31


@pytest.fixture(scope="module")
def made():
    """A report with one finding whose names would be markup if anybody let them."""
    world, pods = cluster()
    policies = policies_of(world)
    evil = world.pod("shop", "<img src=x>|`**")
    world.edge(evil, pods["db"], 5432, days=[LAST])
    history, night = parts(world)
    return find_drift(DriftInput(night, history, (Snapshot(0, tuple(policies)),)), NIGHT)


@pytest.fixture
def portolan(tmp_path, monkeypatch):
    """Portolan on an empty folder."""
    monkeypatch.chdir(tmp_path)
    with open_portolan(load_settings(data_dir=tmp_path / "data"), clock=lambda: NIGHT) as found:
        yield found


def keep(portolan, report, night):
    """Keep a report of a night, and give the states of its findings."""
    report = replace(report, generated_at=NIGHT + timedelta(days=night))
    with portolan.database.write() as session:
        repository.save_report(session, report, f"{RUN}{night}")
    with portolan.database.read() as session:
        keys = [finding.key(report.cluster) for finding in report.findings]
        rows = repository.standing(session, report.cluster, keys)
        return {key: (row.state, row.news) for key, row in rows.items()}


def client_of(portolan):
    """A client of the application, as its own host."""
    return TestClient(create_app(portolan), base_url="http://127.0.0.1")


def test_a_finding_is_told_as_news_on_one_night_only(portolan, made):
    """New, known, gone, back."""
    empty = replace(made, findings=())
    assert {news for _, news in keep(portolan, made, 0).values()} == {"new"}
    assert {news for _, news in keep(portolan, made, 1).values()} == {""}
    keep(portolan, empty, 2)
    with portolan.database.read() as session:
        assert {row.state for row in repository.list_findings(session, repository.FindingFilter())} == {
            "resolved"
        }
    assert set(keep(portolan, made, 3).values()) == {("regressed", "back")}


def test_news_of_a_night_stays_news_when_the_night_is_reported_again(portolan, made):
    """An engineer who runs the command in the morning still sees what the nightly run found, and nobody is sent it twice."""
    with portolan.database.write() as session:
        assert len(repository.save_report(session, made, f"{RUN}0")) == len(made.findings)
    hours = timedelta(hours=5)
    window = Window(made.window.start + hours, made.window.end + hours)
    later = replace(made, generated_at=made.generated_at + hours, window=window)
    with portolan.database.write() as session:
        assert repository.save_report(session, later, f"{RUN}1") == frozenset()
    with portolan.database.read() as session:
        rows = repository.list_findings(session, repository.FindingFilter(news=True))
        assert {(row.state, row.news, row.reports) for row in rows} == {("open", "new", 2)}


def test_a_look_back_is_kept_and_moves_nothing(portolan, made):
    """What is gone is not back because somebody asked for an older night; the newest stays the newest."""
    first = replace(made, findings=())
    day = timedelta(days=1)
    older = replace(made, window=Window(made.window.start - day, made.window.end - day))
    keep(portolan, made, 0)
    keep(portolan, first, 1)
    assert {state for state, _ in keep(portolan, older, 2).values()} == {"resolved"}
    with portolan.database.read() as session:
        assert repository.find_report(session, None).body["findings"] == []
        assert [row.window_end for row in repository.list_reports(session)] == [
            made.window.end,
            made.window.end,
            older.window.end,
        ]


def test_old_reports_are_forgotten_and_the_newest_is_not(portolan, made):
    """A source that fell silent for months leaves its last report; what was resolved before goes, what is open stays."""
    day = timedelta(days=1)
    for night in (0, 1, 2):
        window = Window(made.window.start + night * day, made.window.end + night * day)
        keep(portolan, replace(made, window=window, findings=made.findings if night == 0 else ()), night)
    with portolan.database.write() as session:
        assert repository.remove_reports_before(session, NIGHT + day) == 1
        assert len(repository.list_findings(session, repository.FindingFilter())) == len(made.findings)
        assert repository.remove_reports_before(session, NIGHT + 90 * day) == 1
        assert [row.id for row in repository.list_reports(session)] == [f"{RUN}2"]
        assert repository.list_findings(session, repository.FindingFilter()) == []


def test_people_acknowledge_reopen_and_silence_over_rest(portolan, made):
    """Each edit names the revision it was made on."""
    keep(portolan, made, 0)
    client = client_of(portolan)
    items = client.get("/api/v1/drift/findings").json()["items"]
    assert len(items) == len(made.findings)
    path = f"/api/v1/drift/findings/{items[0]['key']}"
    tag = client.get(path).headers["ETag"]
    said = {"reviewer": "ada", "reason": "on it", "until": "2026-04-30T00:00:00Z"}
    assert client.post(f"{path}/acknowledge", json=said).status_code in (412, 428)
    answer = client.post(f"{path}/acknowledge", json=said, headers={"If-Match": tag})
    assert (answer.status_code, answer.json()["state"]) == (200, "acknowledged")
    again = client.post(f"{path}/acknowledge", json=said, headers={"If-Match": tag})
    assert again.status_code == 412
    back = client.post(f"{path}/reopen", json={"reviewer": "ada"}, headers={"If-Match": "*"})
    assert back.json()["state"] == "open"
    rule = {"namespace": "shop", "reviewer": "ada", "reason": "known"}
    assert client.post("/api/v1/drift/mutes", json=rule).status_code == 201
    assert client.post("/api/v1/drift/mutes", json={"reviewer": "a", "reason": ""}).status_code == 422
    assert {state for state, _ in keep(portolan, made, 1).values()} == {"muted"}
    number = client.get("/api/v1/drift/mutes").json()["items"][0]["id"]
    assert client.delete(f"/api/v1/drift/mutes/{number}").status_code == 204
    assert {news for _, news in keep(portolan, made, 2).values()} == {"unmuted"}


def test_reports_come_in_pages(portolan, made):
    """Newest first, none twice and none left out."""
    for night in range(3):
        keep(portolan, made, night)
    client = client_of(portolan)
    found, more = [], {}
    while True:
        page = client.get("/api/v1/drift/reports", params={"limit": 1, **more}).json()
        found += [line["id"] for line in page["items"]]
        if page["next_cursor"] is None:
            break
        more = {"cursor": page["next_cursor"]}
    assert found == [f"{RUN}{night}" for night in (2, 1, 0)]
    assert client.get("/api/v1/drift/reports", params={"cursor": "WyIxIiwiMiIsIjMiXQ"}).status_code == 422


def test_reports_trends_page_and_metrics_say_the_same(portolan, made):
    """One report, four doors."""
    keep(portolan, made, 0)
    client = client_of(portolan)
    assert client.get("/api/v1/drift/reports/newest").json()["summary"]["findings"] == len(made.findings)
    assert client.get("/api/v1/drift/reports").json()["items"][0]["id"] == f"{RUN}0"
    points = client.get("/api/v1/drift/trends").json()["items"]
    assert [point["findings"] for point in points] == [len(made.findings)]
    page = client.get("/drift")
    assert page.status_code == 200
    assert "<img src=x>" not in page.text
    metrics = client.get("/metrics").text
    finding = made.findings[0]
    line = (
        f'portolan_drift_findings{{kind="{finding.kind.value}",namespace="shop",'
        f'severity="{finding.severity.value}"}} 1.0'
    )
    assert line in metrics
    assert 'portolan_drift_last_report_age_seconds{cluster="prod"} 0.0' in metrics


def test_the_browser_may_apply_the_styles_of_the_page_and_no_others(portolan, made):
    """They are inline, so the policy of the page names them by their hash; other pages allow none."""
    keep(portolan, made, 0)
    client = client_of(portolan)
    page = client.get("/drift")
    styles = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in styles]
    assert len(hashes) == 1
    assert f"style-src 'sha256-{hashes[0]}';" in page.headers["content-security-policy"]
    assert 'href="/proposals"' in page.text
    assert "style-src 'self';" in client.get("/runs").headers["content-security-policy"]


def test_a_change_on_the_page_can_be_copied(made):
    """Line by line as it is applied; it is a JSON Patch, and no line of escapes."""
    form = Told(made).to_json()
    patch = [{"op": "add", "path": "/spec/egress/-", "value": {"toCIDR": ["192.0.2.1/32"] * 200}}]
    form["findings"][0]["suggestion"] = {"action": "add_rule", "text": "If it is wanted.", "patch": patch}
    (shown,) = re.findall(r"<pre>(.*?)</pre>", html(form, []), re.DOTALL)
    assert json.loads(unescape(shown)) == patch


def test_without_a_report_the_page_says_how_to_get_one(portolan):
    """Not an empty table."""
    page = client_of(portolan).get("/drift")
    assert page.status_code == 404
    assert "portolan drift" in page.text


def test_the_page_needs_nothing_from_elsewhere_and_escapes_what_came_from_flows(made):
    """No script, no link, no picture; hostile names are text."""
    form = Told(made).to_json()
    nights = [(NIGHT - timedelta(days=day), {"denied": day}, day != 2) for day in range(5, 0, -1)]
    text = html(form, nights)
    assert "<svg" in text
    assert "&lt;img" in text
    for forbidden in ("<script", "<img", "<link", "http://", "https://", "@import", "url("):
        assert forbidden not in text


def test_markdown_cannot_be_broken_out_of(made):
    """Pipes, backticks and stars of a name are escaped, and one finding is one row."""
    text = markdown(Told(made))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(made.findings)
    assert "<img" not in text.replace("\\<img", "")


def test_a_message_tells_only_what_changed_and_is_tried_again(tmp_path, made):
    """Busy twice, then taken; nothing is sent about what is known."""
    secret = tmp_path / "url"
    secret.write_text("https://chat.example/hook/s3cret\n")
    settings = DriftSettings(webhook_url_file=secret)
    answers = iter([503, 429, 200])
    bodies = []

    def receive(request):
        bodies.append(json.loads(request.content))
        return httpx.Response(next(answers))

    keys = [finding.key(made.cluster) for finding in made.findings]
    news = dict.fromkeys(keys, ("open", "new"))
    transport = httpx.MockTransport(receive)
    assert notify.tell(settings, made, news, run_id="r", transport=transport)
    assert len(bodies) == 3
    assert bodies[0]["text"].startswith("Drift in prod:")
    known = dict.fromkeys(keys, ("open", ""))
    assert not notify.tell(settings, made, known, run_id="r", transport=transport)
    assert len(bodies) == 3


def test_a_receiver_that_is_gone_does_not_lose_the_report(tmp_path, made, capsys):
    """It is logged without the address, which is a secret."""
    secret = tmp_path / "url"
    secret.write_text("http://127.0.0.1:9/s3cret")
    news = {finding.key(made.cluster): ("open", "new") for finding in made.findings}
    assert not notify.tell(DriftSettings(webhook_url_file=secret), made, news, run_id="r")
    out = capsys.readouterr()
    assert "s3cret" not in out.out + out.err


def test_snapshots_are_kept_when_they_differ_and_remember_how_long_they_held(portolan):
    """Three nights, one change: two rows, and the moments between which the first one held."""
    one = Deployed(
        ({"kind": "NetworkPolicy", "metadata": {"name": "a"}, "spec": {}},), "cluster", complete=True
    )
    other = Deployed(
        ({"kind": "NetworkPolicy", "metadata": {"name": "b"}, "spec": {}},), "cluster", complete=True
    )
    with portolan.database.write() as session:
        for night, deployed in enumerate((one, one, other)):
            snapshots.record(session, "prod", deployed, NIGHT + timedelta(days=night))
    with portolan.database.read() as session:
        found = snapshots.earlier(session, "prod", "cluster", NIGHT + timedelta(days=9))
        assert snapshots.earlier(session, "prod", "elsewhere", NIGHT + timedelta(days=9)) == []
    moments = [int((NIGHT + timedelta(days=night)).timestamp()) * 1_000_000 for night in range(3)]
    assert [one.taken_us for one in found] == moments
    assert [one.objects[0]["metadata"]["name"] for one in found] == ["a", "a", "b"]
