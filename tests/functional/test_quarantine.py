"""What is held back, over HTTP, on the command line and in the browser, against the installed program."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from playwright.sync_api import expect, sync_playwright

from service.configfile import load_settings
from service.proposals import recording as proposals
from service.quarantine.recording import record
from service.wiring import open_portolan
from tests.contracts.test_review_state import NOW
from tests.functional.conftest import run_json, serving
from tests.unit.service.held import both_ends, held
from tests.unit.service.proposals import KEY, proposal, rule

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>\u202e{{ 7 * 7 }}\x1b[31m'
ODD = held("odd", title=HOSTILE, question=HOSTILE, why=(HOSTILE,), samples=(HOSTILE,), proposal=KEY)


@pytest.fixture
def data(tmp_path):
    """A data directory with one proposal and what was held back beside it."""
    entries = (*both_ends(), ODD, *(held(f"n{number}", namespace="data") for number in range(3)))
    with (
        open_portolan(load_settings(data_dir=tmp_path / "data")) as made,
        made.database.write() as session,
    ):
        shown = replace(proposal(rule()), quarantine=(ODD,))
        proposals.record(session, [shown], cluster="c", namespace=None, run_id=None, now=NOW)
        record(session, entries, cluster="c", namespace=None, run_id=None, now=NOW)
    return tmp_path / "data"


@pytest.fixture
def api(data):
    """A server on it."""
    with serving(data, "--no-scheduler", cwd=data.parent) as client:
        yield client


def read(client, one):
    """Entry with its tag."""
    answer = client.get(f"/api/v1/quarantine/{one.id}")
    assert answer.status_code == 200, answer.text
    return answer.json(), answer.headers["etag"]


def say(client, one, tag, verdict="admit", **more):
    """Send a verdict."""
    body = {"verdict": verdict, "reviewer": "ana", "reason": "asked"} | more
    headers = {"If-Match": tag} if tag else {}
    return client.post(f"/api/v1/quarantine/{one.id}/verdict", json=body, headers=headers)


def test_entries_are_listed_filtered_and_paged(api):
    """Every page holds what the list holds, once."""
    whole = api.get("/api/v1/quarantine").json()["items"]
    assert len(whole) == 6
    found, cursor = [], None
    while True:
        params = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        page = api.get("/api/v1/quarantine", params=params).json()
        found += page["items"]
        if (cursor := page["next_cursor"]) is None:
            break
    assert found == whole
    for params, count in (
        ({"namespace": "data"}, 4),
        ({"state": "open"}, 6),
        ({"state": "admitted"}, 0),
        ({"reason": "lone_sighting"}, 6),
        ({"reason": "scan"}, 0),
        ({"cluster": "other"}, 0),
    ):
        assert len(api.get("/api/v1/quarantine", params=params).json()["items"]) == count, params
    for params in ({"state": "maybe"}, {"cursor": "x"}, {"cursor": "WyJubyJd"}, {"limit": 0}):
        assert api.get("/api/v1/quarantine", params=params).status_code == 422, params


def test_a_verdict_needs_the_state_it_was_made_on(api):
    """428 without If-Match, 412 with an old one, 200 with the right one, for both ends of the call."""
    client, server = both_ends()
    found, tag = read(api, client)
    assert (found["state"], found["verdicts"], found["ledger"][0]["because"]) == (
        "open",
        [],
        "seen on one day",
    )
    assert say(api, client, None).status_code == 428
    done = say(api, client, tag)
    assert (done.status_code, done.json()["state"]) == (200, "admitted")
    assert done.headers["etag"] == read(api, client)[1] != tag
    late = say(api, client, tag, "unwanted")
    assert (late.status_code, late.json()["type"]) == (412, "urn:portolan:problem:precondition-failed")
    assert say(api, client, tag).status_code == 200  # the same request again
    other, _ = read(api, server)
    assert (other["state"], [one["reviewer"] for one in other["verdicts"]]) == ("admitted", ["ana"])
    conflict = say(api, server, "*", "unwanted")
    assert (conflict.status_code, conflict.json()["type"]) == (409, "urn:portolan:problem:conflict")
    assert say(api, server, "*", "reopen").json()["state"] == "open"


def test_a_verdict_is_checked_before_it_is_kept(api):
    """Unknown fields, odd verdicts, no reason, control characters; an entry that is not there."""
    _, tag = read(api, ODD)
    for change in (
        {"verdict": "maybe"}, {"reviewer": ""}, {"reviewer": "a\x1b[31m"}, {"reason": ""}, {"extra": 1},
        {"days": 3}, {"verdict": "later", "days": 0}, {"verdict": "later", "days": 1.5},
    ):  # fmt: skip
        answer = say(api, ODD, tag, **change)
        assert answer.status_code == 422, (change, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    assert api.get("/api/v1/quarantine/0123").status_code == 404
    assert say(api, held("never"), "*").status_code == 404
    cross = {"If-Match": tag, "Origin": "https://evil.example"}
    body = {"verdict": "admit", "reviewer": "mallory", "reason": "x"}
    path = f"/api/v1/quarantine/{ODD.id}/verdict"
    assert api.post(path, json=body, headers=cross).status_code == 403
    assert read(api, ODD)[1] == tag


def test_many_entries_are_decided_in_one_request(api):
    """As they were listed; again it changes nothing; what changed meanwhile stops all of it."""
    items = api.get("/api/v1/quarantine", params={"namespace": "data", "peer": "tcp/443"}).json()["items"]
    seen = [{"id": one["id"], "etag": one["etag"]} for one in items]
    assert len(seen) == 4
    body = {"verdict": "unwanted", "reviewer": "ana", "reason": "asked", "entries": seen}
    path = "/api/v1/quarantine/verdicts"
    done = api.post(path, json=body)
    assert (done.status_code, done.json()["changed"]) == (200, 4)
    assert [one["id"] for one in done.json()["items"]] == [one["id"] for one in seen]
    assert api.post(path, json=body).json()["changed"] == 0
    late = api.post(path, json=body | {"reviewer": "ben", "verdict": "later", "reason": ""})
    assert (late.status_code, late.json()["type"]) == (412, "urn:portolan:problem:precondition-failed")
    assert "nothing was decided" in late.json()["detail"]
    for entries in ([], [*seen, seen[0]], [{"id": seen[0]["id"]}], [{**seen[0], "x": 1}]):
        assert api.post(path, json=body | {"entries": entries}).status_code == 422, entries
    assert api.post(path, json=body | {"entries": [{"id": "0123", "etag": "*"}]}).status_code == 404
    assert api.post(path, json=body, headers={"Origin": "https://evil.example"}).status_code == 403


def test_two_reviewers_at_both_ends_cannot_both_win(api):
    """One call, two entries, many requests: one verdict."""
    ends = both_ends()
    tags = {one.id: read(api, one)[1] for one in ends}

    def ask(number):
        one, verdict = ends[number % 2], ("admit", "unwanted")[number // 2 % 2]
        return say(api, one, tags[one.id], verdict, reviewer=f"r{number}").status_code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert sorted(answers) == [200] + [412] * 7
    assert len(read(api, ends[0])[0]["verdicts"]) == 1


def test_pages_show_what_is_held_back_and_obey_nothing_of_it(api):
    """List and proposal, with everything escaped and nothing inline."""
    pages = [api.get("/quarantine").text, api.get(f"/proposals/{KEY}").text]
    for page in pages:
        assert ODD.id in page
        for refused in ("<script>", "<img", " style=", "\x1b", "\u202e", " onerror=alert(2)>\u202e"):
            assert refused not in page, refused
        assert "{{ 7 * 7 }}" in page
    assert "6 held back until somebody decides" in api.get("/proposals").text
    assert "Nothing here" in api.get("/quarantine", params={"state": "unwanted"}).text
    assert api.get("/quarantine", params={"state": "maybe"}).status_code == 422


def test_the_command_line_has_the_same_verbs(portolan, data):
    """List, one entry, verdicts, and the same refusals; hostile names stay text."""
    at = ("--data-dir", data)
    listing = portolan("quarantine", *at).stdout
    assert ODD.id in listing
    assert "\x1b[31m" not in listing
    assert "\u202e" not in listing
    one = held("n1", namespace="data")
    assert one.question in portolan("quarantine", one.id[:8], *at).stdout
    assert "needs a reason" in portolan("verdict", one.id, "admit", *at, code=2).stderr
    done = portolan("verdict", one.id[:8], "admit", "--reason", "asked", "--reviewer", "ana", *at).stdout
    assert "admitted" in done
    assert "reopen it" in portolan("verdict", one.id, "unwanted", "--reason", "no", *at, code=1).stderr
    assert "no entry" in portolan("verdict", "0000", "later", *at, code=2).stderr
    found = run_json(portolan, "quarantine", "--state", "admitted", *at)["quarantine"]
    assert [(entry["id"], entry["verdict"]["reviewer"]) for entry in found] == [(one.id, "ana")]
    assert run_json(portolan, "quarantine", one.id, *at)["verdicts"][0]["reason"] == "asked"
    assert len(run_json(portolan, "quarantine", "--namespace", "shop", *at)["quarantine"]) == 2
    portolan("verdict", ODD.id, "later", "--days", "3", "--reviewer", "ana", *at)
    shown = portolan("show", "shop/web", *at).stdout
    assert "HELD BACK UNTIL SOMEBODY DECIDES (1)" in shown
    assert ODD.id in shown
    assert "later by ana, asks again" in shown
    assert "4 held back until somebody decides" in portolan("doctor", *at).stdout


def test_many_verdicts_on_the_command_line_are_shown_and_confirmed(portolan, data):
    """Several ids or a filter: what will be decided is shown, and without --yes nothing is."""
    at = ("--data-dir", data)
    some = ("--namespace", "data", "--peer", "N2 on")
    asked = portolan("verdict", "unwanted", "--reason", "no", *some, *at, code=2)
    assert "say --yes" in asked.stderr
    assert held("n2", namespace="data").id in asked.stdout
    assert run_json(portolan, "quarantine", "--state", "unwanted", *at)["quarantine"] == []
    done = portolan("verdict", "unwanted", "--reason", "no", "--yes", *some, *at).stdout
    assert done.endswith("data/web egress n2 on TCP/443: unwanted\n")
    ids = [held(f"n{number}", namespace="data").id for number in range(2)]
    assert portolan("verdict", *ids, "admit", "--reason", "ok", "--yes", *at).stdout.count(": admitted") == 2
    portolan("verdict", "reopen", "--state", "admitted", "--held-for", "lone_sighting", "--yes", *at)
    assert run_json(portolan, "quarantine", "--state", "admitted", *at)["quarantine"] == []
    assert "which entries?" in portolan("verdict", "later", *at, code=2).stderr
    assert "not both" in portolan("verdict", ids[0], "later", *some, *at, code=2).stderr
    assert "no entry fits" in portolan("verdict", "later", "--workload", "none", *at, code=2).stderr


@pytest.mark.browser
def test_a_reviewer_decides_on_many_in_the_browser(api):
    """Filtered, selected, confirmed; the rest of the list stays."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(base_url=str(api.base_url))
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto("/quarantine")
        page.get_by_label("Namespace").select_option("data")
        page.get_by_label("Held for").select_option("lone_sighting")
        page.get_by_label("Other side").fill("TCP/443")
        page.get_by_role("button", name="Filter").click()
        page.get_by_label("Who").fill("ana")
        page.get_by_role("button", name="Unwanted: selected").click()
        expect(page.locator("#problem")).to_contain_text("Select entries first")
        page.get_by_label("on this page").check()
        expect(page.locator("#selected")).to_have_text("4 selected")
        page.get_by_label("Select n2").uncheck()
        page.get_by_label("Select web on").uncheck()
        page.get_by_role("button", name="Unwanted: selected").click()
        expect(page.locator("#problem")).to_contain_text("needs a reason")
        page.get_by_label("Reason for all").fill("a scanner")
        page.get_by_role("button", name="Unwanted: selected").click()
        expect(page.locator("article.rule")).to_have_count(2)
        browser.close()
    states = {one["title"].split()[0]: one["state"] for one in api.get("/api/v1/quarantine").json()["items"]}
    assert (states["n0"], states["n1"], states["n2"]) == ("unwanted", "unwanted", "open")


@pytest.mark.browser
def test_a_reviewer_decides_in_the_browser(api):
    """With a reason, from the list and from the proposal; a refusal stands beside the button."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no Chromium on this machine")
    complaints = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(base_url=str(api.base_url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto("/proposals")
        page.get_by_role("link", name="6 held back until somebody decides").click()
        one = held("n1", namespace="data")
        entry = page.locator(f"#held-{one.id}")
        page.get_by_label("Who").fill("ana")
        entry.get_by_role("button", name="Unwanted").click()
        expect(entry.get_by_role("alert")).to_contain_text("needs a reason")
        entry.get_by_label("Reason").fill("a <b>miner</b>")
        entry.get_by_role("button", name="Unwanted").click()
        expect(entry).to_have_count(0)
        page.get_by_label("State").select_option("unwanted")
        page.get_by_role("button", name="Filter").click()
        expect(entry).to_contain_text("a <b>miner</b>")
        entry.get_by_role("button", name="Reopen").click()
        expect(entry).to_have_count(0)
        page.goto(f"/proposals/{KEY}")
        page.get_by_label("Who").fill("ana")
        entry = page.locator(f"#held-{ODD.id}")
        entry.get_by_role("button", name="Ask again in a week").click()
        expect(entry.locator(".state")).to_have_text("later")
        expect(entry).to_contain_text("Asks again")
        browser.close()
    assert complaints == []
