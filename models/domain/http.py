"""HTTP requests as a rule admits them: a method and an expression for the request target."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class HttpTemplate:
    """
    One element of the list of requests that a rule admits.

    Parameters
    ----------
    method
        As on the wire: ``GET``.
    path
        Anchored RE2 expression for the request target, the query included; empty: every target.
    routes
        Distinct paths that were seen and that it stands for.
    days_seen
        Calendar days (UTC) with any of them.
    requests
        Records that passed.
    """

    method: str
    path: str = ""
    routes: int = 0
    days_seen: int = 0
    requests: int = 0

    @property
    def text(self) -> str:
        r"""``GET ^/orders(\?.*)?$``, or ``GET (any path)``."""
        return f"{self.method} {self.path or '(any path)'}"

    def form(self) -> dict[str, str]:
        """As an element of ``rules.http``: what it admits, without its evidence."""
        return {"method": self.method} | ({"path": self.path} if self.path else {})

    def to_json(self) -> dict[str, Any]:
        """Contract form; an empty ``path`` admits every path."""
        counts = {"routes": self.routes, "days_seen": self.days_seen, "requests": self.requests}
        return {"method": self.method, "path": self.path, **counts}


def template_from_json(form: Mapping[str, Any]) -> HttpTemplate:
    """Inverse of `HttpTemplate.to_json`."""
    return HttpTemplate(form["method"], form["path"], form["routes"], form["days_seen"], form["requests"])
