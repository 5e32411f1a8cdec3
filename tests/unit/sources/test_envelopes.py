"""Any file, any wrap: the same flows, or a reject that says why."""

import json
from typing import Any

import pytest

from jobs.sources.decode import LOST, NODE_STATUS, OTHER_EVENT
from jobs.sources.shape import VALUES, shape_of
from jobs.sources.splitter import Splitter
from tests.unit.sources.flows import TIME, Read, flow, lines, many, wrapped

TWO = [wrapped(one) for one in many(2)]
TEXTS = [json.dumps(one) for one in TWO]

WRAPS: dict[str, bytes] = {
    "exporter lines": lines(*TWO),
    "bare flows": lines(*(one["flow"] for one in TWO)),
    "one array": json.dumps(TWO).encode(),
    "one array of bare flows, pretty": json.dumps([one["flow"] for one in TWO], indent=2).encode(),
    "pretty objects, one after the other": "\n".join(json.dumps(one, indent=4) for one in TWO).encode(),
    "objects on one line": (TEXTS[0] + TEXTS[1]).encode() + b"\n",
    "objects on one line, with spaces": (TEXTS[0] + "  " + TEXTS[1]).encode() + b"\n",
    "arrays, one per line": lines([TWO[0]], [TWO[1]]),
    "byte-order mark and carriage returns": b"\xef\xbb\xbf" + lines(*TWO).replace(b"\n", b"\r\n"),
    "CRI": "".join(f"{TIME} stdout F {text}\n" for text in TEXTS).encode(),
    "CRI, cut in parts": "".join(
        f"{TIME} stdout P {text[:300]}\n{TIME} stderr F other\n{TIME} stdout F {text[300:]}\n" for text in TEXTS
    ).encode(),
    "docker": lines(*({"log": text + "\n", "stream": "stdout", "time": TIME} for text in TEXTS)),
    "fluent bit, string": lines(*({"kubernetes": {"pod_name": "x"}, "log": text} for text in TEXTS)),
    "fluent bit, object": lines(*({"kubernetes": {"pod_name": "x"}, "message": one} for one in TWO)),
    "keys lifted to the top": lines(*(one["flow"] | {"kubernetes": {}, "stream": "stdout"} for one in TWO)),
    "flow as a string": lines(*({"flow": json.dumps(one["flow"]), "node_name": one["node_name"]} for one in TWO)),
    "splunk": lines(*({"preview": False, "result": {"_raw": text, "host": "x"}} for text in TEXTS)),
    "elasticsearch hits": json.dumps({"hits": {"hits": [{"_id": "1", "_source": one} for one in TWO]}}).encode(),
    "elasticsearch documents": lines(*({"_index": "i", "_source": {"flow": one["flow"]}} for one in TWO)),
    "loki answer": json.dumps(
        {"data": {"result": [{"stream": {}, "values": [["1", text] for text in TEXTS]}]}}
    ).encode(),
    "otlp": json.dumps(
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": text}} for text in TEXTS]}]}]}
    ).encode(),
    "hubble-otel": lines(
        *({"attributes": {"cilium.event_kind": "flow/v1alpha2", "cilium.event_object": one["flow"]}} for one in TWO)
    ),
    "kubectl logs --timestamps": "".join(f"{TIME} {text}\n" for text in TEXTS).encode(),
    "wrapped four times": lines(*({"a": 1, "data": {"body": json.dumps({"log": json.dumps(text)})}} for text in TEXTS)),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(WRAPS))
def test_trap_A1_every_wrap_gives_the_same_flows(name: str) -> None:
    """Nothing is lost in any shape that was met, and nothing refused but what is no flow."""
    read = Read(WRAPS[name])
    plain = Read(WRAPS["exporter lines"]).records
    assert [record["uuid"] for record in read.records] == [record["uuid"] for record in plain]
    assert read.records == plain
    if name != "CRI, cut in parts":
        assert read.rejects == []


AZURE: dict[str, Any] = {
    "TimeGenerated": "2026-03-02T10:15:30.123Z", "Verdict": "FORWARDED", "Reply": False,
    "SourceNamespace": "shop", "SourceWorkloads": '[{"name":"frontend","kind":"Deployment"}]', "SourceIdentity": 31001,
    "DestinationNamespace": "shop", "DestinationIdentity": "31002", "IP": {"ipVersion": "IPv4"},
    "Layer4": '{"TCP":{"destination_port":8080}}', "EgressFlowCount": 184, "IngressFlowCount": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [
        lines(AZURE),
        lines(AZURE | {"Layer4": {"TCP": {"destination_port": 8080}}}),
        json.dumps({"records": [AZURE]}).encode(),
        json.dumps(
            {
                "tables": [
                    {
                        "name": "PrimaryResult",
                        "columns": [{"name": name} for name in AZURE],
                        "rows": [list(AZURE.values())],
                    }
                ]
            }
        ).encode(),
    ],
)
def test_trap_A9_stored_logs_of_aks_give_weighted_edges_without_labels(data: bytes) -> None:
    """Rows of Azure Monitor, dynamic columns as objects or strings, as lines or as an answer of its API."""
    record = Read(data).record
    expected = {
        "src_namespace": "shop", "src_workload": "frontend", "dst_port": 8080, "weight": 184, "aggregated": True,
        "is_reply": False, "src_key": "", "src_ip": "", "src_identity": 31001, "dst_identity": 31002, "verdict": "FORWARDED",
    }  # fmt: skip
    assert {key: record[key] for key in expected} == expected


def test_trap_A2_other_events_are_neither_flows_nor_rejects() -> None:
    """Lost events, node status, agent and debug events, in both spellings."""
    lost = {
        "lost_events": {"source": "HUBBLE_RING_BUFFER", "num_events_lost": "7"},
        "node_name": "n",
        "time": TIME,
    }
    status = {
        "node_status": {"state_change": "NODE_ERROR", "node_names": ["a/n2"]},
        "node_name": "r",
        "time": TIME,
    }
    agent = {"agent_event": {"type": "POLICY_UPDATED"}, "node_name": "n", "time": TIME}
    debug = {"debug_event": {"type": 5}, "node_name": "n", "time": TIME}
    camel = {"lostEvents": {"source": 3, "numEventsLost": 7}, "nodeName": "n2", "time": TIME}
    read = Read(lines(lost, status, agent, debug, {"log": json.dumps(camel)}, wrapped(flow())))
    assert read.kinds == {1: 1, LOST: 2, NODE_STATUS: 1, OTHER_EVENT: 2}
    assert read.rejects == []


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"", None),
        (b"   \t", None),
        (b"connection refused", "not JSON"),
        (b'{"flow":{"verdict":"FORWA', "not JSON"),
        (b"5", "not a flow"),
        (b'"text"', "not JSON"),
        (b"null", "not a flow"),
        (b'{"some":"thing"}', "not a flow"),
        (b'{"flow":null}', "not a flow"),
        (b"\xff\xfe\x00", "invalid UTF-8"),
        (b'{"flow":{"verdict":"\xff"}}', "invalid UTF-8"),
        (b"\x00" * 40, "not JSON"),
        (b"[" * 5000, "not JSON"),
        (b"[" * 100 + b"1" + b"]" * 100, "nested too deep"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "not a flow"),
    ],
)
def test_a_bad_line_is_kept_with_its_number_and_harms_no_other(bad: bytes, reason: str | None) -> None:
    """Between two good lines; a blank one is nothing at all."""
    good = lines(*TWO)
    cut = good.index(b"\n") + 1
    read = Read(good[:cut] + bad + b"\n" + good[cut:])
    assert len(read.records) == 2
    assert read.reasons == ([(2, reason)] if reason else [])
    for reject in read.rejects:
        assert reason == "nested too deep" or reject.raw.replace(b"\\u0000", b"\x00") in (
            bad,
            bad.strip(b'"'),
        )


def test_control_characters_in_a_string_are_data() -> None:
    """A raw NUL or newline escape inside a string does not cost the flow."""
    text = lines(wrapped(flow())).replace(b"frontend-7c9d6b5f4-x2k8q", b"front\x00end")
    assert Read(text).record["src_pod"] == "front\x00end"


def test_values_are_found_in_blocks_of_any_size() -> None:
    """Braces and quotes inside strings, escapes, and cuts in the middle of everything."""
    odd = [{"a": '}{"\\', "b": [{"c": "\\\\"}]}, {"d": "[" * 3}, {"e": {"f": "\u2028"}}]
    data = json.dumps(odd, indent=1, ensure_ascii=False).encode()
    for size in (1, 2, 3, 7, 64, len(data)):
        blocks = [data[at : at + size] for at in range(0, len(data), size)]
        values = list(Splitter().values(blocks))
        assert [json.loads(value.raw) for value in values] == odd
        assert [data[value.start : value.end] for value in values] == [value.raw for value in values]
        assert [value.line for value in values] == [2, 10, 13]


def test_a_line_that_is_too_long_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows where a string begins in what is left of it, so the next line is waited for."""
    monkeypatch.setattr("jobs.sources.splitter.MAX_LINE", 500)
    good = b'{"flow": {"verdict": "FORWARDED"}}'
    for long in (b'{"flow": {"x": "' + b"a" * 2000 + b'"}}', b"b" * 2000, b'{"x": "' + b'\\"{' * 700 + b'"}'):
        data = long + b"\n" + good + b"\n" + good
        for size in (90, 450):
            blocks = [data[at : at + size] for at in range(0, len(data), size)]
            values = list(Splitter().values(blocks))
            assert [value.raw for value in values if not value.problem] == [good, good], (long[:9], size)
            assert len(values) == 3, (long[:9], size)


def test_an_object_that_never_closes_costs_only_itself() -> None:
    """What follows it on a new line is read; the last piece may still grow."""
    text = json.dumps(TWO, indent=1).encode()
    values = list(Splitter().values([b'{"flow": {"verdict":\n' + text + b'\n{"flow": {"a"']))
    assert [value.problem for value in values if value.problem] == ["not JSON", "truncated"] or [
        value.problem for value in values if value.problem
    ] == ["truncated"]


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        (WRAPS["exporter lines"], "wrapped"),
        (WRAPS["bare flows"], "bare"),
        (WRAPS["docker"], "other"),
        (b"half a line\n" + WRAPS["exporter lines"], "wrapped"),
        (WRAPS["one array"], VALUES),
        (WRAPS["pretty objects, one after the other"], VALUES),
        (b"", "other"),
    ],
)
def test_the_first_lines_tell_what_to_try_first(data: bytes, shape: str) -> None:
    """Only speed depends on the answer."""
    assert shape_of(data) == shape


@pytest.mark.parametrize("wrap", ["loki answer", "elasticsearch hits", "otlp", "one array"])
def test_a_long_answer_of_a_store_is_taken_apart(wrap: str) -> None:
    """Megabytes in one object: the lines it carries are read like any others."""
    flows = [wrapped(one) for one in many(1500)]
    texts = [json.dumps(one) for one in flows]
    long: dict[str, Any] = {
        "loki answer": {"data": {"result": [{"values": [["1", text] for text in texts]}]}},
        "elasticsearch hits": {"hits": {"hits": [{"_source": one} for one in flows]}},
        "otlp": {
            "resourceLogs": [
                {"scopeLogs": [{"logRecords": [{"body": {"stringValue": text}} for text in texts]}]}
            ]
        },
        "one array": {"records": flows},
    }
    read = Read(json.dumps(long[wrap]).encode())
    assert (len(read.records), read.rejects) == (1500, [])
