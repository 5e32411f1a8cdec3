"""One set of expressions, every engine: what they may use, and that all engines agree."""

import os
import subprocess
import sys
from typing import Any

import duckdb
import ibis
import pyarrow as pa
import pytest

from jobs.observations import compiled, engine
from jobs.observations.plan import batch_plan
from tests.support import ROOT
from tests.unit.observations.builders import (
    API,
    DNS,
    HOST,
    OUTSIDE,
    WEB,
    WEB2,
    End,
    answer_to,
    at,
    dns_answer,
    flow,
    inputs,
    lookup,
    notice,
)

#: What the portability rule allows, by the names of Ibis' operations: filter, project, integer
#: arithmetic, comparison, CASE, grouping with count, sum, min and max, equi-join, distinct, union.
ALLOWED = {
    *(
        "UnboundTable",
        "Project",
        "Filter",
        "Aggregate",
        "JoinChain",
        "JoinTable",
        "JoinReference",
        "JoinLink",
    ),
    *("Union", "Distinct", "DropColumns", "Field", "Literal", "Cast", "Alias"),
    *("Add", "Subtract", "Multiply", "Modulus", "FloorDivide", "StringConcat"),
    *("Equals", "NotEquals", "Less", "LessEqual", "Greater", "GreaterEqual", "And", "Or", "Not"),
    *("IsNull", "NotNull", "InValues", "Coalesce", "SearchedCase", "IfElse"),
    *("CountStar", "Sum", "Min", "Max"),
}


def all_expressions() -> list[tuple[str, Any]]:
    """Every expression of a batch by name."""
    plan = batch_plan()
    return [*plan.stages.items(), *plan.results.items()]


@pytest.mark.parametrize(("name", "expression"), all_expressions(), ids=[n for n, _ in all_expressions()])
def test_every_expression_uses_portable_operators_only(name, expression):
    """Anything else may mean something else on another engine."""
    used = {type(node).__name__ for node in expression.op().find(ibis.expr.operations.Node)}
    assert used <= ALLOWED, used - ALLOWED
    for join in expression.op().find(ibis.expr.operations.JoinLink):
        assert {type(predicate).__name__ for predicate in join.predicates} == {"Equals"}


@pytest.mark.parametrize("dialect", ["duckdb", "pyspark"])
@pytest.mark.parametrize(("name", "expression"), all_expressions(), ids=[n for n, _ in all_expressions()])
def test_every_expression_compiles(name, expression, dialect):
    """For the engine that runs it here and the one that may run it elsewhere."""
    sql = str(ibis.to_sql(expression, dialect=dialect))
    assert sql.startswith(("SELECT", "WITH"))
    assert len(sql) < 100_000  # an expression that inlines itself grows without bound


@pytest.mark.parametrize("seed", ["1", "2", "4", "6"])
def test_what_was_compiled_is_what_the_expressions_say(seed):
    """Whoever changes an expression runs ``python -m jobs.observations.compiled``; any seed of the hash will do."""
    command = [sys.executable, "-m", compiled.__name__, "--check"]
    environment = os.environ | {"PYTHONHASHSEED": seed}
    assert subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0


def fixture() -> dict[str, pa.Table]:
    """Records of every kind that the expressions tell apart."""
    request = flow(WEB, API)
    unlabelled = End("", "10.0.0.8", "job-1", "shop", "job", "Job", identity=0)
    records = [
        request,
        answer_to(request),
        answer_to(flow(WEB, API, sport=40009), syn=False, rst=True),
        flow(WEB, API, seen_at="dst", event=5, allowed_by="CiliumNetworkPolicy/shop/web"),
        flow(WEB, OUTSIDE, 443, dst_names="api.example.com", time=at(70)),
        flow(WEB, OUTSIDE, 80, dst_service="shop/front"),
        flow(WEB2, API, is_reply=None, flags=None, seen_at="", weight=4, aggregated=True),
        flow(unlabelled, API, time=at(days=2)),
        flow(HOST, API, seen_at="dst"),
        flow(HOST, OUTSIDE),
        flow(WEB, API, None, None, protocol="ICMPv4", icmp_type=8),
        flow(API, WEB, None, None, protocol="ICMPv4", icmp_type=0),
        flow(WEB, API, verdict="DROPPED", drop_reason="POLICY_DENIED", is_reply=None, event=1),
        flow(WEB, API, verdict="ERROR"),
        flow(WEB, API, is_reply=None, seen_at="", trace_point="TO_OVERLAY"),
        flow(WEB, API, event=129, l7_kind="http", l7_type="REQUEST", http_method="GET", http_route="/a'b\\c"),
        flow(
            WEB, DNS, 53, protocol="UDP", event=129, l7_kind="dns", l7_type="REQUEST", dns_query="a.example"
        ),
        lookup(WEB, "a.example"),
        lookup(WEB, "b.example", rcode=3),
        flow(WEB, End("", "10.0.0.99", identity=0)),
    ]
    answers = [
        dns_answer(WEB, "a.example", "203.0.113.7"),
        dns_answer(WEB, "a.example", "203.0.113.8", ttl=9),
    ]
    return inputs(records, answers, [notice("lost", 7), notice("rejected", 2, node="")])


def on_duckdb(tables: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """Result of the embedded engine."""
    with duckdb.connect() as con:
        for name, table in tables.items():
            con.register(name, table)
        return engine.batch_tables(con)


def on_spark(tables: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """Result of a local Spark session."""
    spark_sql = pytest.importorskip("pyspark.sql", reason="the spark extra is not installed")
    from jobs.observations import spark  # noqa: PLC0415 - only where pyspark is installed

    session = (
        spark_sql.SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.sql.session.timeZone", "Pacific/Auckland")  # no result may depend on it
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    try:
        for name, table in tables.items():
            session.createDataFrame(table).createOrReplaceTempView(name)
        return spark.batch_tables(session)
    finally:
        session.stop()


def sorted_rows(table: pa.Table) -> list[tuple[Any, ...]]:
    """Rows in an order of their own."""
    rows = [tuple(row.values()) for row in table.to_pylist()]
    return sorted(rows, key=lambda row: tuple((value is not None, value) for value in row))


def test_the_embedded_engine_fills_every_table():
    """The fixture is worth comparing only if no table stays empty."""
    assert all(table.num_rows for table in on_duckdb(fixture()).values())


@pytest.mark.spark
@pytest.mark.filterwarnings("ignore")  # pyspark's own deprecations are not ours
def test_spark_gives_the_same_rows_as_the_embedded_engine():
    """The same fixture, row by row, table by table."""
    tables = fixture()
    here, there = on_duckdb(tables), on_spark(tables)
    assert here.keys() == there.keys()
    for name, table in here.items():
        assert sorted_rows(there[name]) == sorted_rows(table), name
