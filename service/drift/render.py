"""A report for people: Markdown for a pull request or a chat, one HTML page that needs nothing else."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
import yaml

from models.drift.finding import KINDS
from service.drift.charts import HEIGHT, WIDTH, expectation, trend
from service.drift.repository import list_reports
from service.drift.service import Told
from service.printable import printable
from service.web.render import environment
from service.wiring import Portolan

#: Nights of the chart.
TREND_DAYS: Final = 42
_MAX_NIGHTS: Final = 60
#: Findings told in full in Markdown; a comment on a pull request has a limit.
_MARKDOWN_FINDINGS: Final = 50
_MAX_LINE: Final = 600
_MARKUP: Final = re.compile(r"([\\`*_{}\[\]<>#|~!@])")

Night = tuple[datetime, Mapping[str, int], bool]


def nights_of(portolan: Portolan, cluster: str) -> list[Night]:
    """Findings by kind of the last recorded nights, oldest first."""
    since = portolan.clock() - timedelta(days=TREND_DAYS)
    with portolan.database.read() as session:
        rows = list_reports(session, cluster=cluster, limit=_MAX_NIGHTS)
        found = [
            (row.window_end, row.summary.get("by_kind", {}), row.coverage.get("state") == "complete")
            for row in rows
            if row.generated_at >= since
        ]
    newest: dict[Any, Night] = {}
    for night in reversed(found):
        newest[night[0]] = night
    return [newest[end] for end in sorted(newest)]


def style_source() -> str:
    """What a content security policy calls the styles of the page, so that it need not allow any others."""
    style = environment().get_template("drift_report.css").render(kinds=[kind.value for kind in KINDS])
    return f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"


def html(form: Mapping[str, Any], nights: Sequence[Night], *, served: bool = False) -> str:
    """
    One page: styles and charts inside, no script, nothing loaded.

    Served by Portolan it leads to its other pages; as a file it leads nowhere.
    """
    findings = [
        {
            **finding,
            "range": expectation(finding["expected"]),
            "patch": _patch(finding["suggestion"]),
            "ports_text": ", ".join(
                f"{one['protocol']}{'' if one['port'] is None else '/' + str(one['port'])}"
                for one in finding["ports"][:6]
            ),
        }
        for finding in form["findings"]
    ]
    template = environment().get_template("drift_report.html")
    return template.render(
        report=form,
        served=served,
        findings=findings,
        news=[finding for finding in findings if finding.get("news")],
        kinds=[kind.value for kind in KINDS],
        trend=trend(nights) if len(nights) > 1 else None,
        width=WIDTH,
        height=HEIGHT,
    )


def _patch(suggestion: Mapping[str, Any] | None) -> str:
    """The change of a suggestion as text that can be copied."""
    if suggestion is None:
        return ""
    if suggestion.get("patch"):
        return orjson.dumps(suggestion["patch"], option=orjson.OPT_INDENT_2).decode()
    if suggestion.get("manifest"):
        return str(yaml.safe_dump(suggestion["manifest"], sort_keys=False))
    return ""


def _change(finding: Mapping[str, Any]) -> str:
    """The patch; where a whole object is to be put back, what is different in it: comments are short."""
    suggestion = finding["suggestion"]
    if suggestion is not None and suggestion.get("manifest"):
        return "\n".join(finding["merged"])
    return _patch(suggestion)


def markdown(told: Told) -> str:
    """Tables and details that GitHub, GitLab and chats read; every text out of flows is escaped."""
    form = told.to_json()
    summary = form["summary"]
    kinds = [f"{count} {kind}" for kind, count in summary["by_kind"].items() if count]
    lines = [
        f"## Drift: {_escape(form['cluster'])}",
        "",
        (
            f"{form['window']['start']} to {form['window']['end']}, coverage {form['coverage']['state']}. "
            f"{', '.join(kinds) or 'Nothing to report'}."
        ),
        "",
    ]
    if form["findings"]:
        lines += ["| severity | kind | what | state |", "|---|---|---|---|"]
    for finding in form["findings"][:_MARKDOWN_FINDINGS]:
        state = finding["news"] or finding["state"]
        lines.append(
            f"| {finding['severity']} | {finding['kind']} | {_escape(finding['why'])} | {_escape(state)} |"
        )
    if len(form["findings"]) > _MARKDOWN_FINDINGS:
        lines.append(f"\nand {len(form['findings']) - _MARKDOWN_FINDINGS} more")
    changes = [one for one in form["findings"][:_MARKDOWN_FINDINGS] if _change(one)]
    if changes:
        lines += ["", "<details><summary>Suggested changes</summary>", ""]
        for finding in changes:
            suggestion = finding["suggestion"]
            lines += [f"**{_escape(finding['why'])}**", "", _escape(suggestion["text"]), ""]
            fence = "~" * 4
            body = [printable(line, limit=_MAX_LINE) for line in _change(finding).splitlines()]
            lines += [fence, *(line for line in body if not line.startswith(fence)), fence, ""]
        lines.append("</details>")
    lines += [f"\n_{_escape(note)}_" for note in summary["notes"]]
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    """Text without meaning for Markdown or HTML, on one line."""
    return _MARKUP.sub(r"\\\1", printable(text, limit=_MAX_LINE)).replace("\n", " ")
