"""From recorded requests to a policy with a list of them, by the installed program."""

import json

import pytest
import yaml

from tests.functional.conftest import run_json, serving
from tests.functional.flows import flows

ASKED = {"PORTOLAN_CAPABILITIES__L7": "true", "PORTOLAN_CAPABILITIES__CILIUM_VERSION": "1.18"}
#: Target and status of every hour's requests from web to api; tokens and queries never leave ingest.
REQUESTS = (
    ("GET", "http://api.shop:8080/orders?page=1&token=s3cr3t", 200),
    ("POST", "http://api.shop:8080/orders", 201),
    ("GET", "http://api.shop:8080/.env", 404),
)


def request_and_response(l4_request, number, method, url, code):
    """The proxy's two records of one exchange, made from the record of its connection."""
    flow = json.loads(json.dumps(l4_request))["flow"]
    ends = {"source": flow["source"], "destination": flow["destination"]}
    for reply in (False, True):
        http = {"method": method, "url": url, "protocol": "HTTP/1.1"}
        http["headers"] = [{"key": "Authorization", "value": "Bearer s3cr3t"}]
        one = {
            **flow,
            "uuid": f"00000000-0000-4000-9000-{number * 2 + reply:012d}",
            "Type": "L7",
            "event_type": {"type": 129},
            "is_reply": reply,
            "l7": {
                "type": "RESPONSE" if reply else "REQUEST",
                "http": http | ({"code": code} if reply else {}),
            },
        }
        one.pop("trace_observation_point")
        if reply:
            one["source"], one["destination"] = ends["destination"], ends["source"]
            one["IP"] = {"source": flow["IP"]["destination"], "destination": flow["IP"]["source"]}
            tcp = flow["l4"]["TCP"]
            one["l4"] = {
                "TCP": {"source_port": tcp["destination_port"], "destination_port": tcp["source_port"]}
            }
        yield {"flow": one, "node_name": "node-1", "time": one["time"]}


@pytest.fixture(scope="module")
def records():
    """Three days of the small shop, with the requests that web sends to api."""
    found, number = [], 0
    for record in flows(days=3):
        found.append(record)
        flow = record["flow"]
        if flow["is_reply"] or flow["l4"].get("TCP", {}).get("destination_port") != 8080:
            continue
        for request in REQUESTS:
            number += 1
            found += request_and_response(record, number, *request)
    return found


@pytest.fixture
def learned_http(portolan, tmp_path, records):
    """Data directory with proposals that have lists."""
    path = tmp_path / "flows.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    assert run_json(portolan, "ingest", path)["rejected"] == {}
    portolan("infer", env=ASKED)
    return tmp_path / ".portolan"


def test_requests_become_a_list_that_a_person_approves_and_the_window_passes(portolan, learned_http):
    """Show says what passes and what failed; approval needs a look; what is exported denies nothing seen."""
    found = run_json(portolan, "proposals", env=ASKED)["proposals"]
    (api,) = [one for one in found if "Deployment/api" in one["subject"]["workloads"]]
    (rule,) = [one for one in api["rules"] if one["http"]]
    assert [(one["method"], one["path"]) for one in rule["http"]] == [
        ("GET", r"^/orders(\?.*)?$"),
        ("POST", r"^/orders(\?.*)?$"),
    ]
    assert (api["backtest"]["requests"], api["backtest"]["requests_refused"]) == (2, 0)
    shown = portolan("show", "shop/api", env=ASKED).stdout
    assert "HTTP: GET ^/orders" in shown
    assert "GET /.env" in shown
    assert "s3cr3t" not in json.dumps(found) + shown
    portolan("review", "shop/api", "approve", env=ASKED, code=1)
    portolan(
        "review", "shop/api", "approve", "--include-flagged", "--reason", "the paths are right", env=ASKED
    )
    portolan("export", "--out", "policies", env=ASKED)
    (path,) = learned_http.parent.glob("policies/**/*.yaml")
    (entry,) = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]["ingress"]
    assert entry["toPorts"][0]["rules"]["http"][0] == {"method": "GET", "path": r"^/orders(\?.*)?$"}
    asked = ("simulate", "--policies", "policies", "--window", "3d", "--format", "jsonl")
    lines = [json.loads(line) for line in portolan(*asked, env=ASKED).stdout.splitlines()]
    refused = [(line["request"], line["legitimacy"]) for line in lines if line["verdict"] == "deny"]
    assert refused == [("GET /.env", "unanswered")]


def test_nothing_is_listed_unasked_and_the_page_shows_lists(portolan, learned_http):
    """The next run without the setting proposes the port alone."""
    with serving(learned_http, "--no-scheduler") as client:
        (item,) = client.get("/api/v1/proposals", params={"q": "api"}).json()["items"]
        page = client.get(f"/proposals/{item['key']}").text
        assert "HTTP requests that pass" in page
        assert "^/orders(\\?.*)?$" in page
    portolan("infer")
    (api,) = [
        one
        for one in run_json(portolan, "proposals")["proposals"]
        if "Deployment/api" in one["subject"]["workloads"]
    ]
    assert all(not rule["http"] for rule in api["rules"])
