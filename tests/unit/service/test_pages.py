"""Pages: a template sees its context and nothing else, and obeys nothing that came out of flows."""

import re
from dataclasses import fields, replace
from html.parser import HTMLParser

import pytest
from jinja2 import nodes
from jinja2.meta import find_undeclared_variables

from models.domain.proposal import LeftOut
from service.db.engine import database_url, make_engine
from service.db.migrate import upgrade
from service.db.sessions import Database
from service.proposals.recording import record
from service.settings import DatabaseSettings
from service.web.contexts import ErrorPage, RunsPage
from service.web.pages import proposal_context
from service.web.render import HERE, TEMPLATES, environment, render_page
from tests.contracts.test_review_state import NOW
from tests.unit.service.proposals import KEY, proposal, rule

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>\u202e{{ 7 * 7 }}\x1b[31m'


@pytest.mark.parametrize("page", TEMPLATES, ids=lambda page: page.__name__)
def test_a_template_uses_exactly_the_fields_of_its_context(page):
    """A field that no template shows, or a name that no context has, is a mistake."""
    made = environment()
    names = set()
    for template in (TEMPLATES[page], "base.html"):
        tree = made.parse((HERE / "templates" / template).read_text("utf-8"))
        imported = {name for found in tree.find_all(nodes.FromImport) for name in found.names}
        names |= find_undeclared_variables(tree) - imported
    assert names == {field.name for field in fields(page)}


def test_nothing_switches_escaping_off():
    """No template says safe, or turns autoescape off."""
    made = environment()
    for path in (HERE / "templates").glob("*.html"):
        tree = made.parse(path.read_text("utf-8"))
        assert not [node for node in tree.find_all(nodes.Filter) if node.name == "safe"]
        assert "autoescape" not in path.read_text("utf-8")


def test_pages_load_nothing_from_elsewhere():
    """They work offline, and under a policy that allows nothing inline."""
    for path in [*(HERE / "templates").glob("*.html"), *(HERE / "static").glob("*")]:
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//[a-z]+\.", text), path
        if path.suffix == ".html":
            assert not re.search(r"<script(?! src=\"/static/)|\son[a-z]+=|\sstyle=|javascript:", text), path


def test_runs_show_their_counts_and_below_them_their_notes():
    """Runs that say nothing in words, and one that does."""
    about = {
        "kind": "infer",
        "trigger": "cli",
        "outcome": "done",
        "error": None,
        "started_at": NOW,
        "seconds": 1.0,
    }
    counts = {
        "proposals": 0,
        "windows": [{"cluster": "prod"}],
        "notes": ["nothing is proposed: <b>nobody</b> called"],
    }
    text = render_page(
        RunsPage(runs=[about | {"counts": counts}, about | {"counts": {}}], upcoming=[], next_query="")
    ).body.decode()
    assert "<br>nothing is proposed: &lt;b&gt;nobody&lt;/b&gt; called" in text
    assert "windows" not in text


class Tags(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def rendered(tmp_path, one):
    """Page of a proposal, and its tags."""
    database = Database(make_engine(database_url(DatabaseSettings(), tmp_path)))
    upgrade(database.engine)
    with database.write() as session:
        record(session, [one], cluster="c", namespace=None, run_id=None, now=NOW)
    with database.read() as session:
        text = render_page(proposal_context(session, KEY, None)).body.decode()
    database.close()
    tags = Tags()
    tags.feed(text)
    return text, tags.found


def test_hostile_text_is_shown_and_never_obeyed(tmp_path):
    """Markup, template syntax, terminal escapes and reading order are text."""
    line = LeftOut("egress", "odd", HOSTILE, HOSTILE, 1, 0, 1, 1, 1, 1, HOSTILE)
    hostile = replace(
        proposal(replace(rule(), reasons=(HOSTILE,), flags=(HOSTILE,))), left_out=(line,), reasons=(HOSTILE,)
    )
    text, tags = rendered(tmp_path, hostile)
    assert [attrs for tag, attrs in tags if tag == "script"] == [{"src": "/static/review.js", "defer": None}]
    assert "img" not in {tag for tag, _ in tags}
    assert not [name for _, attrs in tags for name in attrs if name.startswith("on")]
    assert "49" not in text.split("Doubts")[1].split("</ul>")[0]
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_errors_and_empty_lists_are_pages_too():
    """Every template renders with little in it."""
    assert "Not found" in render_page(ErrorPage(404, "Not found", "gone"), 404).body.decode()
    assert "Nothing ran yet" in render_page(RunsPage([], [], "")).body.decode()
