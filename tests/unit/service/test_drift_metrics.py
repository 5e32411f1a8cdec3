"""What alert rules and the dashboard read."""

from dataclasses import replace
from datetime import UTC, datetime

from starlette.testclient import TestClient

from models.confidence.report import calibrate
from models.learning.cells import to_cells
from models.learning.incidence import DayIncidence
from service.configfile import load_settings
from service.main import create_app
from service.proposals.repository import save_inference
from service.wiring import open_portolan
from tests.unit.learning.worlds import coverage, day_names, estate

NIGHT = datetime(2026, 3, 29, 3, tzinfo=UTC)


def test_the_calibration_of_the_newest_inference_is_a_metric(tmp_path):
    """An alert rule reads it; the figures lie where the panel writes them."""
    seen = DayIncidence().fit(to_cells(estate(0, 14, workloads=10)), coverage(day_names(14)))
    panel = replace(calibrate(seen.cells_, seen.days_), reason="", ece=0.07, brier=0.1, interval_coverage=0.8)
    with open_portolan(load_settings(data_dir=tmp_path), clock=lambda: NIGHT) as portolan:
        with portolan.database.write() as session:
            body = {"calibration": panel.to_json()}
            save_inference(session, cluster="prod", run_id=None, body=body, now=NIGHT)
        text = TestClient(create_app(portolan), base_url="http://127.0.0.1").get("/metrics").text
    for figure, value in (("ece", 0.07), ("brier", 0.1), ("coverage", 0.8)):
        assert f'portolan_calibration{{cluster="prod",figure="{figure}"}} {value}' in text
