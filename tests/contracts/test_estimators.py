"""One suite for every estimator: what scikit-learn's clone and a nightly run rely on."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from models.confidence.calibration import Recalibration
from models.confidence.completeness import Completeness
from models.confidence.score import RuleConfidence
from models.errors import BadInputError
from models.learning.base import Estimator
from models.learning.cells import to_cells
from models.learning.cidrs import CidrCover
from models.learning.incidence import DayIncidence
from models.learning.names import NamePatterns
from models.learning.ports import PortRanges
from models.learning.recurrence import Recurrence
from models.learning.rhythms import Rhythms
from models.learning.roles import Roles
from models.learning.routes import GROUP, RouteTemplates
from models.learning.screening import Screening
from models.learning.screening_features import Surroundings, screening_features
from tests.unit.learning.worlds import coverage, day_names, estate

if TYPE_CHECKING:
    from collections.abc import Callable

DAYS = day_names(14)
EDGES = to_cells(estate(3, 14, workloads=25))
INCIDENCE = DayIncidence().fit(EDGES, coverage(DAYS))
CELLS, WINDOW = INCIDENCE.cells_, INCIDENCE.days_
FACTS = screening_features(CELLS, Surroundings(), WINDOW)
PROFILES = pd.DataFrame({"workload": CELLS["subject"], "cell": CELLS["peer"].str.slice(0, 5)})
NAMES = pd.DataFrame(
    [("w", f"shard-{i}.example.com", 1) for i in range(20)] + [("w", "api.stable.org", 14)],
    columns=["subject", "name", "days_seen"],
)
ADDRESSES = pd.DataFrame(
    {"subject": "w", "address": [f"20.60.88.{i}" for i in range(0, 60, 2)] + ["9.9.9.9"]}
)
PORTS = pd.DataFrame(
    [
        ("w", "egress", "endpoint", "ftp", "TCP", port, 14 if port == 21 else 1)
        for port in (21, *range(50000, 50040, 2))
    ],
    columns=["subject", "direction", "peer_kind", "peer", "protocol", "port", "days_seen"],
)
HTTP = ("w", "egress", "endpoint", "p", "TCP", 80, "GET")
ROUTES = pd.DataFrame(
    [(*HTTP, f"/orders/{i}", 1, 2, 0) for i in range(20)] + [(*HTTP, "/health", 14, 9, 0)],
    columns=[*GROUP, "l7_route", "days", "flows", "l7_denied"],
)
SCORED = CELLS.assign(p_need=0.5, p_legit=0.9)
RULES = pd.DataFrame({"rule": CELLS["subject"].to_numpy(), "cell": CELLS.index})
LABELS = pd.DataFrame(
    {"zone": "internal", "predicted": [i / 100 for i in range(100)], "happened": [0.0, 1.0] * 50}
)


@dataclass(frozen=True)
class Case:
    """An estimator, the frame whose row order must not matter, and the other arguments of fit."""

    make: Callable[[], Estimator]
    frame: pd.DataFrame
    rest: tuple[Any, ...] = ()
    column: str = "subject"


CASES = {
    "incidence": Case(DayIncidence, EDGES, (coverage(DAYS),)),
    "recurrence": Case(Recurrence, CELLS, (WINDOW,), "returns"),
    "rhythms": Case(Rhythms, CELLS, (WINDOW,), "days"),
    "screening": Case(Screening, FACTS, (14,), "fail"),
    "roles": Case(Roles, PROFILES, (), "cell"),
    "names": Case(NamePatterns, NAMES, (14,), "name"),
    "cidrs": Case(CidrCover, ADDRESSES, (), "address"),
    "ports": Case(PortRanges, PORTS, (), "port"),
    "routes": Case(RouteTemplates, ROUTES, (14,), "l7_route"),
    "completeness": Case(Completeness, CELLS, (WINDOW,), "zone"),
    "recalibration": Case(Recalibration, LABELS, (28,), "predicted"),
    "confidence": Case(RuleConfidence, RULES, (SCORED, WINDOW), "rule"),
}


def _results(estimator: Estimator) -> dict[str, Any]:
    return {name: value for name, value in vars(estimator).items() if name.endswith("_") and name[0] != "_"}


def _same(left: Any, right: Any) -> None:
    if isinstance(left, pd.DataFrame):
        pd.testing.assert_frame_equal(left.sort_index(), right.sort_index(), check_exact=True)
    elif isinstance(left, pd.Series):
        pd.testing.assert_series_equal(left.sort_index(), right.sort_index(), check_exact=True)
    else:
        assert left == right


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def test_every_estimator_of_the_packages_is_in_this_suite() -> None:
    """A new estimator has to join the suite to be merged."""

    def below(kind: type) -> set[type]:
        return {kind} | {each for child in kind.__subclasses__() for each in below(child)}

    assert below(Estimator) - {Estimator} == {type(case.make()) for case in CASES.values()}


def test_the_cases_leave_something_to_choose() -> None:
    """Whatever order changes nothing in an empty result, so a case has to have one: a prefix, a range."""
    blocks = CidrCover().fit(ADDRESSES).blocks_
    assert not blocks["cidr"].str.endswith("/32").all()
    assert len(PortRanges().fit(PORTS).ranges_) == 1


def test_the_constructor_only_stores_its_parameters(case: Case) -> None:
    """What is given is what get_params returns, and nothing is computed before fit."""
    estimator = case.make()
    names = set(inspect.signature(type(estimator)).parameters)
    assert set(estimator.get_params()) == names == set(vars(estimator))


def test_a_clone_is_unfitted_and_equal_in_parameters(case: Case) -> None:
    """Clone copies parameters and no results."""
    fitted = case.make().fit(case.frame, *case.rest)
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    assert not _results(copy)


def test_fit_returns_itself_and_leaves_its_input_alone(case: Case) -> None:
    """A run may hand one frame to several estimators."""
    frame = case.frame.copy(deep=True)
    estimator = case.make()
    assert estimator.fit(frame, *case.rest) is estimator
    pd.testing.assert_frame_equal(frame, case.frame)
    assert _results(estimator)


def test_row_order_does_not_change_any_result(case: Case) -> None:
    """Property 1 of the traps: shuffled input, identical output, to the last bit."""
    once = _results(case.make().fit(case.frame, *case.rest))
    for seed in (1, 2):
        again = _results(case.make().fit(case.frame.sample(frac=1.0, random_state=seed), *case.rest))
        assert again.keys() == once.keys()
        for name in once:
            _same(once[name], again[name])


def test_fitting_twice_gives_the_same(case: Case) -> None:
    """No state leaks from one fit into the next."""
    estimator = case.make()
    first = _results(estimator.fit(case.frame, *case.rest))
    second = _results(estimator.fit(case.frame, *case.rest))
    for name in first:
        _same(first[name], second[name])


def test_a_missing_column_is_named(case: Case) -> None:
    """A caller's mistake is a sentence, not a KeyError."""
    with pytest.raises(BadInputError, match=case.column):
        case.make().fit(case.frame.drop(columns=[case.column]), *case.rest)


def test_an_empty_frame_gives_empty_results(case: Case) -> None:
    """A new cluster has nothing yet, and that is no error."""
    assert _results(case.make().fit(case.frame.iloc[:0], *case.rest))


def test_results_cannot_be_read_before_fit() -> None:
    """Asking too early says what to do."""
    with pytest.raises(NotFittedError, match="call fit first"):
        Recurrence().predict(CELLS, WINDOW)
