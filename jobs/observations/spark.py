"""Run a batch's plan on Spark: the same expressions, for clusters whose flows already live there."""

from typing import TYPE_CHECKING, Any

from jobs.observations.clock import calendar_table
from jobs.observations.plan import batch_plan
from jobs.observations.schema import arrow_schema

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def batch_tables(session: "SparkSession") -> dict[str, Any]:
    """
    Hourly tables of one batch as Arrow, from the views ``templates taken answers label_sets notices``.

    Stages are cached while they are read and forgotten afterwards.
    """
    stages, results = batch_plan().compiled("pyspark")
    session.createDataFrame(calendar_table().to_pandas()).createOrReplaceTempView("calendar")
    try:
        for name, sql in stages.items():
            session.sql(sql).cache().createOrReplaceTempView(name)
        return {
            name: session.sql(sql).toArrow().select(arrow_schema(name).names).cast(arrow_schema(name))
            for name, sql in results.items()
        }
    finally:
        for name in stages:
            session.catalog.uncacheTable(name)
            session.catalog.dropTempView(name)
        session.catalog.dropTempView("calendar")
