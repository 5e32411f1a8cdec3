"""Prometheus metrics of drift, read from the review state when they are asked for."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy.orm import Session

from models.drift.life import State
from service.dependencies import PortolanDep, ReadSession
from service.drift.repository import FindingFilter, list_findings, list_reports
from service.proposals.repository import newest_inferences
from service.wiring import Portolan

if TYPE_CHECKING:
    from service.db.tables_drift import DriftReportRow

router = APIRouter(include_in_schema=False)

#: States that ask for somebody's attention.
ACTIVE: Final = frozenset({State.OPEN.value, State.REGRESSED.value})
_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
#: Figures of a calibration, and where its form has them.
_CALIBRATION: Final = (
    ("ece", "p_need", "ece"),
    ("brier", "p_need", "brier"),
    ("coverage", "completeness", "interval_coverage"),
)
_REPORTS: Final = 500


@router.get("/metrics")
def metrics(session: ReadSession, portolan: PortolanDep) -> Response:
    """Everything that alert rules and the dashboard of ``deploy/`` read."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(session, portolan))
    return Response(generate_latest(registry), media_type=_TYPE)


class _Collector:
    """One look at the review state."""

    def __init__(self, session: Session, portolan: Portolan) -> None:
        self._session = session
        self._portolan = portolan

    def collect(self) -> Iterator[Metric]:
        """Metrics in one order."""
        yield self._findings()
        newest: dict[str, DriftReportRow] = {}
        for row in list_reports(self._session, limit=_REPORTS):
            newest.setdefault(row.cluster, row)
        rows = [newest[name] for name in sorted(newest)]
        yield self._gauge(
            "portolan_drift_coverage_heard_share",
            "Share of the hours of the newest night in which anything arrived.",
            {row.cluster: float(row.coverage["heard_share"]) for row in rows},
        )
        yield self._gauge(
            "portolan_drift_last_report_timestamp_seconds",
            "When the newest report was made.",
            {row.cluster: row.generated_at.timestamp() for row in rows},
        )
        now = self._portolan.clock().timestamp()
        yield self._gauge(
            "portolan_drift_last_report_age_seconds",
            "Seconds since the newest report.",
            {row.cluster: max(0.0, now - row.generated_at.timestamp()) for row in rows},
        )
        yield self._calibration()

    def _findings(self) -> Metric:
        """Findings that ask for attention, by what they are and where."""
        family = GaugeMetricFamily(
            "portolan_drift_findings",
            "Findings that are open or came back.",
            labels=["kind", "severity", "namespace"],
        )
        rows = list_findings(self._session, FindingFilter())
        counts = Counter((row.kind, row.severity, row.namespace) for row in rows if row.state in ACTIVE)
        for labels, count in sorted(counts.items()):
            family.add_metric(list(labels), count)
        return family

    @staticmethod
    def _gauge(name: str, about: str, values: dict[str, float]) -> Metric:
        family = GaugeMetricFamily(name, about, labels=["cluster"])
        for cluster, value in values.items():
            family.add_metric([cluster], value)
        return family

    def _calibration(self) -> Metric:
        """Calibration figures of the newest inference, as far as it had any."""
        family = GaugeMetricFamily(
            "portolan_calibration",
            "Calibration of the newest inference on held-out time.",
            labels=["cluster", "figure"],
        )
        for row in newest_inferences(self._session):
            figures = row.body.get("calibration") or {}
            for name, part, field in _CALIBRATION:
                value = figures.get(part, {}).get(field)
                if isinstance(value, int | float):
                    family.add_metric([row.cluster, name], float(value))
        return family
