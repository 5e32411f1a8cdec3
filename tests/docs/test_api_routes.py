"""docs/api.md lists every route, and no other."""

import re

from service.configfile import load_settings
from service.main import API, create_app
from service.wiring import open_portolan
from tests.support import ROOT


def test_every_route_is_documented(tmp_path, monkeypatch):
    """Method and path, as the OpenAPI document has them, with their query parameters."""
    monkeypatch.chdir(tmp_path)
    with open_portolan(load_settings(data_dir=tmp_path / "data")) as portolan:
        paths = create_app(portolan).openapi()["paths"]
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([A-Z]+ \S+)` \| (.*) \|$", text, re.MULTILINE))
    routes = {
        f"{method.upper()} {path.removeprefix(API)}": operation
        for path, operations in paths.items()
        for method, operation in operations.items()
    }
    assert set(rows) == set(routes)
    for route, operation in routes.items():
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "query" and parameter["name"] not in {"limit", "cursor"}:
                assert re.search(rf"`{parameter['name']}\b", rows[route]) or route == "GET /export", route
