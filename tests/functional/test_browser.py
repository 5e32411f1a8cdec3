"""A reviewer in a real browser: Debian's Chromium against the installed server."""

import shutil
import subprocess

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.functional.conftest import PROGRAM, environment, serving

pytestmark = pytest.mark.browser


@pytest.fixture
def page(learned, tmp_path):
    """An open page of a server with proposals; every complaint of the browser is a failure."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no Chromium on this machine")
    shutil.copytree(learned, tmp_path / "data")
    complaints = []
    with (
        serving(tmp_path / "data", "--no-scheduler", cwd=tmp_path) as client,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        opened = browser.new_page(base_url=str(client.base_url))
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.on(
            "console",
            lambda message: (
                complaints.append(message.text)
                if message.type == "error" and "Failed to load resource" not in message.text
                else None
            ),
        )
        yield opened
        browser.close()
    assert complaints == []


def test_a_reviewer_approves_and_reopens_a_proposal(page):
    """From the list to a decision, by keyboard-reachable controls, with the reason on record."""
    page.goto("/")
    page.get_by_label("Namespace").select_option("shop")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("tbody tr")).to_have_count(4)
    page.get_by_role("link", name="Deployment/web").click()
    expect(page.locator("pre.yaml")).to_contain_text("kind: CiliumNetworkPolicy")
    page.get_by_label("Who").fill("ana")
    page.get_by_label("Why").fill("looks <b>right</b>")
    page.locator("#review").get_by_role("button", name="Approve").click()
    expect(page.locator("main > p .state").first).to_have_text("approved")
    expect(page.locator("table").last).to_contain_text("looks <b>right</b>")
    expect(page.get_by_label("Who")).to_have_value("ana")
    page.locator("#review").get_by_role("button", name="Reopen").click()
    expect(page.locator("main > p .state").first).to_have_text("proposed")


def test_a_refusal_is_shown_in_words(page):
    """Rejecting without a reason, and deciding on an old state."""
    page.goto("/proposals")
    page.get_by_role("link", name="Deployment/db").click()
    page.get_by_label("Who").fill("ana")
    page.locator("#review").get_by_role("button", name="Reject").click()
    expect(page.get_by_role("alert")).to_contain_text("needs a reason")
    page.get_by_label("Why").fill("not wanted")
    page.evaluate("document.getElementById('review').dataset.etag = '\"old\"'")
    page.locator("#review").get_by_role("button", name="Reject").click()
    expect(page.get_by_role("alert")).to_contain_text("changed since it was read")


def test_a_rule_is_rejected_on_its_own(page):
    """It leaves the policy and is listed as rejected."""
    page.goto("/proposals")
    page.get_by_role("link", name="Deployment/api").click()
    page.get_by_label("Who").fill("ana")
    page.get_by_label("Why").fill("moved")
    rule = page.locator("article.rule", has_text="TCP/5432")
    rule.get_by_role("button", name="Reject").click()
    expect(page.get_by_role("heading", name="Rejected rules")).to_be_visible()
    expect(page.locator("pre.yaml")).not_to_contain_text("5432")


def test_the_runs_are_shown(page):
    """What ran, and how it ended."""
    page.goto("/proposals")
    page.get_by_role("link", name="Runs").click()
    expect(page.locator("tbody")).to_contain_text("infer")


def test_the_drift_report_is_styled_and_leads_back(page, tmp_path):
    """The browser applies its inline styles, which a policy that allows none would have forbidden."""
    for arguments in (
        ["export", "--state", "any", "--out", "policies"],
        ["drift", "--policies", "policies", "--record"],
    ):
        subprocess.run(
            [PROGRAM, *arguments, "--data-dir", "data"],
            cwd=tmp_path, env=environment(), check=True, capture_output=True, timeout=240,
        )  # fmt: skip
    page.goto("/drift")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Drift")
    assert page.evaluate("getComputedStyle(document.querySelector('.cards')).display") == "flex"
    page.get_by_role("link", name="Quarantine").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("uarantine")


@pytest.mark.parametrize("width", [360, 1280])
def test_no_page_scrolls_sideways(page, width):
    """Not on a phone either, where a table scrolls by itself and its words stay whole."""
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/proposals")
    one = page.locator("tbody a").first
    assert one.bounding_box()["height"] < 60, "a name is broken into letters"
    for path in ("/proposals", one.get_attribute("href"), "/quarantine", "/calibration", "/drift", "/runs"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
