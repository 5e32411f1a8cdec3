"""REST: what policies would do, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query

from jobs.observations.clusters import ObservedCluster
from jobs.policy_files import check_objects
from jobs.simulate import Totals, compare_flows, simulate_flows
from models.domain.agent import AgentConfig
from models.domain.policy import Direction, PolicySet
from models.errors import BadInputError
from models.manifest.parse import parse_objects
from models.simulation.backtest import replay_seen
from models.simulation.check import check_policies
from models.simulation.comparison import compare_seen
from models.simulation.seen import SeenWindow
from service.dependencies import NameQuery, PortolanDep
from service.problems import PROBLEM_RESPONSES
from service.simulation import schemas, service
from service.simulation.explained import Question, answer, answer_flow
from service.simulation.reviewed import Review
from service.wiring import Portolan

router = APIRouter(tags=["simulation"], responses=PROBLEM_RESPONSES)

#: Rules times flows that one request may ask: about half a minute.
MAX_QUESTIONS: Final = 2_000_000
MAX_LINES: Final = 1000  # of a back-test; its counts are exact


@router.post("/simulate", summary="Simulate policies")
def simulate(body: schemas.SimulateIn, portolan: PortolanDep) -> schemas.SimulationOut:
    """Say what policies would do with flows, or with what was observed in a window."""
    version = service.chosen_version(portolan, body.cilium_version)
    if body.flows is None or body.policies is None:
        cluster = service.observed_cluster(portolan, body.cluster)
        objects = _objects(portolan, body, cluster, version)
    else:
        cluster, objects = None, _checked(body.policies)
    if body.flows is not None:
        return _by_flow(objects, body.flows, version)
    if cluster is None:
        raise BadInputError("send flows, or observe some first")
    seen = _seen(portolan, body, cluster, version)
    policies = parse_objects(list(objects), config=seen.config)
    backtest = schemas.BacktestOut(**replay_seen(seen, policies).to_json(MAX_LINES))
    return _answer(policies, version, flows=[], totals=None, backtest=backtest)


@router.post("/policies/diff", summary="Compare two policy sets")
def diff(body: schemas.DiffIn, portolan: PortolanDep) -> schemas.DiffOut:
    """Say what would change from one policy set to another, for flows or for a window, and beside them."""
    version = service.chosen_version(portolan, body.cilium_version)
    against = _checked(body.against)
    objects: Sequence[Mapping[str, Any]]
    if body.flows is not None and body.policies is not None:
        cluster, objects = None, _checked(body.policies)
    else:
        cluster = service.observed_cluster(portolan, body.cluster)
        objects = _objects(portolan, body, cluster, version)
    if body.flows is not None:
        check_objects(body.flows)
        before, after = (parse_objects(list(one), cilium_version=version) for one in (against, objects))
        _bounded(len(before.entries) + len(after.entries), len(body.flows))
        found = compare_flows(before, after, body.flows, cilium_version=version)
    elif cluster is None:
        raise BadInputError("send flows, or observe some first")
    else:
        seen = _seen(portolan, body, cluster, version)
        before, after = (parse_objects(list(one), config=seen.config) for one in (against, objects))
        found = compare_seen(seen, before, after)
    return schemas.DiffOut(
        cilium_version=version,
        rejected=_rejected(after),
        rejected_against=_rejected(before),
        **found.to_json(MAX_LINES),
    )


@router.post("/policies/check", summary="Check policies")
def check(body: schemas.CheckRequest, portolan: PortolanDep) -> schemas.CheckOut:
    """Say what is wrong with a policy set, or worth a look, rule by rule."""
    version = service.chosen_version(portolan, body.cilium_version)
    cluster = service.only_cluster(portolan, body.cluster)
    if body.policies is not None:
        objects: Sequence[Mapping[str, Any]] = _checked(body.policies)
    else:
        cluster = cluster or service.observed_cluster(portolan, body.cluster)
        objects = _objects(portolan, body, cluster, version)
    seen = None if cluster is None else _seen(portolan, body, cluster, version)
    config = AgentConfig(cilium_version=version) if seen is None else seen.config
    policies = parse_objects(list(objects), config=config)
    found = check_policies(policies, config, seen).to_json()
    return schemas.CheckOut(
        cilium_version=version,
        policies=len(policies.sources),
        rejected=_rejected(policies),
        **found | {"findings": found["findings"][:MAX_LINES], "findings_in_all": len(found["findings"])},
    )


def _seen(
    portolan: Portolan,
    body: schemas.SimulateIn | schemas.CheckRequest,
    cluster: ObservedCluster,
    version: str,
) -> SeenWindow:
    return service.seen_in_window(
        portolan, cluster=cluster, as_of=body.as_of, window=body.window, cilium_version=version
    )


def _bounded(rules: int, flows: int) -> None:
    """Refuse what would keep the server busy for minutes."""
    if rules * flows > MAX_QUESTIONS:
        raise BadInputError(
            f"{rules} rules and {flows} flows are too many for one request: "
            "send fewer flows, or use 'portolan simulate'"
        )


def _rejected(policies: PolicySet) -> list[schemas.Rejected]:
    return [schemas.Rejected(policy=str(one.policy), reasons=list(one.reasons)) for one in policies.rejected]


def _by_flow(
    objects: Sequence[Mapping[str, Any]], flows: list[dict[str, Any]], version: str
) -> schemas.SimulationOut:
    check_objects(flows)
    policies = parse_objects(list(objects), cilium_version=version)
    _bounded(len(policies.entries), len(flows))
    totals, answers = Totals(), []
    for one in simulate_flows(policies, flows, cilium_version=version):
        totals.add(one)
        answers.append(schemas.FlowVerdict(**asdict(one), breaks=one.breaks))
    counts = schemas.Totals(**totals.as_dict())
    return _answer(policies, version, flows=answers, totals=counts, backtest=None)


def _answer(
    policies: PolicySet,
    version: str,
    *,
    flows: list[schemas.FlowVerdict],
    totals: schemas.Totals | None,
    backtest: schemas.BacktestOut | None,
) -> schemas.SimulationOut:
    return schemas.SimulationOut(
        cilium_version=version,
        policies=len(policies.sources),
        rejected=_rejected(policies),
        totals=totals,
        flows=flows,
        backtest=backtest,
    )


@router.post("/explain", summary="Explain a connection")
def explain(body: schemas.ExplanationIn, portolan: PortolanDep) -> schemas.ExplanationOut:
    """Say which policy and rule decide a connection, and the smallest change that would allow it."""
    version = service.chosen_version(portolan, body.cilium_version)
    direction = Direction(body.direction) if body.direction else None
    if body.flow is not None:
        if (body.source, body.destination, body.protocol, body.port) != (None, None, None, None):
            raise BadInputError("flow says who, whom and what: leave source, destination, protocol, port out")
        check_objects([body.flow])
        objects: Sequence[Mapping[str, Any]]
        review = None
        if body.policies is not None:
            objects = _checked(body.policies)
        else:
            cluster = service.observed_cluster(portolan, body.cluster)
            objects, review = _objects(portolan, body, cluster, version), Review(portolan, cluster.name)
        told = answer_flow([body.flow], objects, cilium_version=version, direction=direction, review=review)
        return schemas.ExplanationOut(**told.to_json())
    if body.source is None or body.destination is None:
        raise BadInputError("name source and destination, or send a flow")
    cluster = service.observed_cluster(portolan, body.cluster)
    question = Question(body.source, body.destination, body.protocol, body.port, direction)
    stored = _objects(portolan, body, cluster, version)
    found = answer(portolan, question, stored, cluster=cluster, cilium_version=version)
    return schemas.ExplanationOut(**found.to_json())


@router.get("/explain", summary="Explain a connection by the stored policies")
def explain_stored(
    *,
    portolan: PortolanDep,
    source: Annotated[schemas.Text, Query(examples=["shop/web"])],
    destination: Annotated[schemas.Text, Query(examples=["shop/api"])],
    protocol: schemas.Protocol | None = None,
    port: Annotated[int | None, Query(ge=0, le=65535)] = None,
    state: schemas.State = "approved",
    cluster: NameQuery = None,
    cilium_version: NameQuery = None,
) -> schemas.ExplanationOut:
    """Do the same with the stored proposals."""
    body = schemas.ExplanationIn(
        source=source,
        destination=destination,
        protocol=protocol,
        port=port,
        state=state,
        cluster=cluster,
        cilium_version=cilium_version,
    )
    return explain(body, portolan)


def _checked(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    check_objects(objects)
    return objects


def _objects(
    portolan: Portolan,
    body: schemas.SimulateIn | schemas.ExplanationIn | schemas.CheckRequest,
    cluster: ObservedCluster,
    version: str,
) -> Sequence[Mapping[str, Any]]:
    """The policies meant: those given, else the stored ones."""
    if body.policies is not None:
        return _checked(body.policies)
    with portolan.database.read() as session:
        return service.stored_policies(
            session, cluster=cluster.name, approved_only=body.state == "approved", cilium_version=version
        )
