"""
What tells wanted traffic from scans, intruders and mistakes: one row of facts per cell.

Facts are about who *opens* the connection, the origin, and who is called, the target; so a call has the
same facts whether it is read as egress of one or ingress of the other. NaN is unknown, and unknown facts
weigh nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.learning.base import require
from models.learning.cells import EXTERNAL, INTERNAL, group_codes
from models.learning.concentration import UNKNOWN_CONCENTRATION, concentration
from models.learning.holders import Holders, holders_of
from models.learning.oddities import (
    MAX_PROBE_HOURS,
    beside_lone_sightings,
    lasting,
    many_at_once,
    new_in_one_replica,
    of_several_replicas,
    origin_first_us,
    settled,
    stranger_days,
    strangers_at_once,
    strangers_outside,
    there_once,
)
from models.learning.ports import session_days
from models.learning.scans import scan_tests
from models.learning.suffixes import registrable
from models.learning.unreleased import began_without_release

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.learning.days import ObservedDays

#: An origin that shows this share of its cells from one replica elects a leader.
LEADER_SHARE: Final = 0.3
LEADER_CONCENTRATION: Final = 0.8
#: Ports that need no declaration: what they serve is common knowledge.
KNOWN_PORTS: Final = (
    53,
    80,
    443,
    3306,
    4317,
    4318,
    5432,
    5672,
    6379,
    8080,
    8443,
    9090,
    9092,
    9200,
    11211,
    27017,
)
HOUR_US: Final = 3_600_000_000
#: Microseconds after a rollout in which news are expected.
ADJACENT_US: Final = 24 * HOUR_US
#: Microseconds after a rollout in which a new destination outside is shown to a person: what a new image
#: calls now and then does not all show on its first day.
SHOWN_US: Final = 72 * HOUR_US
#: Days up to which a pod without an owner is somebody's debugging session; beyond, it is an odd service.
PASSING_DAYS: Final = 3

Floats = npt.NDArray[np.float64]

#: Facts in the order in which they are shown and learned from.
FEATURES: Final = (
    "external",
    "concentration",
    "days",
    "fail",
    "breadth",
    "popularity",
    "declared",
    "named",
    "entropy",
    "nxdomain",
    "regularity",
    "upload",
    "debug",
    "deploy_adjacent",
    "owned",
)

_CELL_COLUMNS: Final = (
    "subject",
    "direction",
    "peer_kind",
    "peer",
    "protocol",
    "port",
    "zone",
    "connections",
    "hours",
)


@dataclass(frozen=True)
class Surroundings:
    """
    What is known around the cells; everything may be empty.

    Parameters
    ----------
    replicas
        Live replicas per subject.
    teams, images
        Team (the namespace, unless told) and image digest per subject; popularity counts neither twice.
    declared
        (peer, port) that a Service or a container declares.
    rolled_out
        Microseconds of the pod-template changes of the window per subject; of a subject that is missing, no
        change would show.
    new_images
        Subjects whose image digest is new in the window.
    ownerless
        Subjects whose pods have no controller.
    debug
        Subjects that are ephemeral or debug containers, or that saw an exec session.
    questions
        `models.learning.questions.question_features`.
    """

    replicas: Mapping[str, int] = field(default_factory=dict)
    teams: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    declared: frozenset[tuple[str, int]] = frozenset()
    rolled_out: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    new_images: frozenset[str] = frozenset()
    ownerless: frozenset[str] = frozenset()
    debug: frozenset[str] = frozenset()
    questions: pd.DataFrame | None = None


def screening_features(cells: pd.DataFrame, around: Surroundings, days: ObservedDays) -> pd.DataFrame:
    """
    Facts per cell.

    Parameters
    ----------
    cells
        `DayIncidence.cells_`, with the optional columns ``subject_pods`` and ``peer_pods`` (distinct pods
        at either end), ``subject_pod`` and ``peer_pod`` (the only one; "" where that is not known),
        ``regularity`` (1 minus the coefficient of variation of at least 20 gaps) and ``upload`` (log10 of
        bytes up over bytes down), ``templates`` with ``together`` (`models.learning.templates`),
        ``visible_days`` with ``answered_days`` (edge-days on which a reply would have been seen, and
        was), and ``news`` (`models.learning.remembered.Recall.news`).
    around
        What the cluster told.
    days
        The window of the cells.

    Returns
    -------
    pandas.DataFrame
        Keyed by cell: `FEATURES`, the flags ``scan``, ``tunnel``, ``generated`` and ``new_image``, and
        ``pods``, ``pod`` (of the origin, if only one made all of it), ``replicas``, ``attempts``,
        ``single_replica``, ``one_replica``, ``unreleased``, ``strangers``, ``many``, ``company``,
        ``accompanied``, ``names_seen`` (some destination of the origin has a name), ``brief`` (the origin was
        there on one day only), ``stranger`` (`models.learning.oddities.strangers_outside`),
        ``strange_days`` (days on which it called a nameless one), ``party_days`` (days of the same
        holder), ``session_days`` (`models.learning.ports.session_days`),
        ``own_days`` (of the cell itself, where ``days`` are the holder's: bare addresses outside),
        ``scan_tests`` (`models.learning.scans.scan_tests`), ``destination`` (it is called, and outside),
        ``only_failed``, ``only_dropped``, ``origin_us`` (first sight of the origin in the window)
        ``mates`` (several replicas do it) and ``leader`` (the
        origin is taken to elect one).
    """
    require(cells, _CELL_COLUMNS, "cells")
    egress = (cells["direction"] == "egress").to_numpy()
    inside = (cells["peer_kind"] == "endpoint").to_numpy()
    origin, target = _ends(cells)
    facts = pd.DataFrame({"external": (cells["zone"] == EXTERNAL).astype(float)}, index=cells.index)
    facts["destination"] = egress & (facts["external"] == 1.0)
    facts["own_days"] = cells["active_days"].astype(float)
    _add_outcome(facts, cells)
    _add_concentration(facts, cells, origin, egress | inside, around)
    hour = cells["first_us"] // HOUR_US
    facts["breadth"] = _breadth(cells, origin, hour)
    facts["popularity"] = _popularity(cells, origin, target, around)
    facts["declared"] = _declared(cells, target, around)
    facts["named"] = (cells["peer_kind"] == "fqdn").where(cells["zone"] == EXTERNAL, np.nan).astype(float)
    # where no destination has a name, that one has none says nothing
    facts["names_seen"] = facts["named"].groupby(origin).transform("max") == 1.0
    holders = _add_questions(facts, cells, around)
    # whoever calls one place behind changing addresses is no less steady for it
    bare = (cells["peer_kind"] == "ip") & (facts["external"] == 1.0)
    facts["days"] = facts["party_days"].where(bare, facts["own_days"])
    for name in ("regularity", "upload"):
        facts[name] = cells[name].where(cells["zone"] == EXTERNAL) if name in cells else np.nan
    facts["debug"] = origin.isin(around.debug).astype(float)
    facts["owned"] = np.where(egress | inside, (~origin.isin(around.ownerless)).astype(float), np.nan)
    adjacent = _after_rollout(cells["first_us"], origin, around, ADJACENT_US)
    facts["deploy_adjacent"] = adjacent.astype(float)
    # another name of a holder that was called before the release is no new destination
    began = holders.first_us.where(facts["named"] == 1.0, cells["first_us"])
    shown = _after_rollout(began, origin, around, SHOWN_US)
    facts["new_image"] = origin.isin(around.new_images).to_numpy() & shown
    met = _after_rollout(holders.first_us, origin, around, SHOWN_US)
    facts["origin_us"], facts["mates"] = origin_first_us(cells, origin), of_several_replicas(cells, facts)
    facts["unreleased"] = began_without_release(cells, facts, holders, around.rolled_out, met, days=days)
    facts["one_replica"] = new_in_one_replica(cells, facts, origin)
    facts["strangers"] = strangers_at_once(cells, facts, origin, around.teams)
    facts["many"] = many_at_once(cells, facts, origin)
    facts["session_days"] = session_days(cells, origin, target)
    facts["stranger"] = strangers_outside(facts)
    facts["company"], facts["accompanied"] = beside_lone_sightings(cells, facts, origin)
    facts["brief"] = there_once(cells, origin)
    facts["strange_days"] = stranger_days(cells, facts, origin)
    contacts = cells[["first_us"]].assign(
        origin=origin,
        hour=hour,
        fail=facts["fail"],
        days=np.maximum(facts["party_days"], facts["session_days"]),
        alone=~(facts["pods"] >= 2),
        no_probe=lasting(cells, MAX_PROBE_HOURS) | _asked_for(facts, cells, origin),
        pod=facts["pod"],
        met=(facts["session_days"] >= 2) | (egress & (holders.first_us < cells["first_us"])),
    )
    facts["scan_tests"] = scan_tests(contacts)
    facts["scan"] = facts["scan_tests"] > 0.0
    return facts


def _asked_for(facts: pd.DataFrame, cells: pd.DataFrame, origin: pd.Series[Any]) -> npt.NDArray[np.bool_]:
    """
    What was called by its name, where a lone call by hand would show otherwise.

    A scanner goes from address to address. Of who is new, or there for a day, nothing else tells what is odd.
    """
    by_name = (facts["named"] == 1.0).to_numpy() & ~facts["brief"].to_numpy(dtype=np.bool_)
    found: npt.NDArray[np.bool_] = by_name & settled(cells, origin)
    return found


def passing(facts: Any) -> Any:
    """Whether a cell (of a frame or one row) is of a bare pod that passes, as a debugging session does."""
    return (facts["owned"] == 0.0) & (facts["days"] <= PASSING_DAYS)


def _ends(cells: pd.DataFrame) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """Who opens the connection and who is called, by cell."""
    egress = cells["direction"] == "egress"
    return cells["subject"].where(egress, cells["peer"]), cells["peer"].where(egress, cells["subject"])


def _after_rollout(
    first_us: pd.Series[Any], origin: pd.Series[Any], around: Surroundings, within: int
) -> npt.NDArray[np.bool_]:
    """Whether something began within that many microseconds after its origin got another pod template."""
    adjacent = np.zeros(len(first_us), dtype=np.bool_)
    first = first_us.to_numpy()
    for subject, rows in origin.reset_index(drop=True).groupby(origin.to_numpy()).indices.items():
        for rollout in around.rolled_out.get(str(subject), ()):
            age = first[rows] - rollout
            adjacent[rows] |= (age >= 0) & (age <= within)
    return adjacent


def _looked_up(names: pd.Series[Any], known: Mapping[str, Any], default: Any) -> npt.NDArray[Any]:
    """Values by name, each distinct name looked up once; ``default`` may be a function of the name."""
    codes, distinct = pd.factorize(names)
    values = [known.get(name, default(name) if callable(default) else default) for name in distinct]
    return np.array(values)[codes] if len(names) else np.zeros(0)


def _add_outcome(facts: pd.DataFrame, cells: pd.DataFrame) -> None:
    """Failures: attempts that no answer other than a reset followed, and drops."""
    attempts = cells["connections"].where(cells["connections"] > 0, cells["flows"]).astype(float)
    dropped = (cells["denied"] + cells["dropped"]).astype(float)
    missed = _missed(cells, attempts)
    share = (missed + dropped) / (attempts + dropped).clip(lower=1.0)
    facts["fail"] = share.where((attempts + dropped) > 0).clip(0.0, 1.0)
    facts["attempts"] = attempts
    forwarded = cells["flows"] + cells["audited"]
    facts["only_failed"] = (facts["fail"] >= 1.0) & (forwarded > 0)
    facts["only_dropped"] = (forwarded == 0) & (dropped > 0)


def _missed(cells: pd.DataFrame, attempts: pd.Series[Any]) -> pd.Series[Any]:
    """
    Attempts without an answer; NaN where an answer would not have shown.

    Days are counted where they are known: exporters sample and fold replies, so that the number of reply
    records says little, and that there was one on a day says much.
    """
    # a datagram needs no answer: statsd, syslog and gossip are not failures
    connects = cells["protocol"].str.upper().isin(("TCP", "SCTP"))
    if "answered_days" in cells:
        visible = cells["visible_days"].astype(float)
        silent = 1.0 - cells["answered_days"] / visible.clip(lower=1.0)
        return (attempts * silent).where(connects & (visible > 0))
    answered = (cells["answered"] - cells["reset"]).clip(lower=0).astype(float)
    return (attempts - answered).clip(lower=0.0).where(connects & cells["replies_visible"])


def _add_concentration(
    facts: pd.DataFrame,
    cells: pd.DataFrame,
    origin: pd.Series[Any],
    ours: npt.NDArray[np.bool_],
    around: Surroundings,
) -> None:
    """How much of the traffic one replica shows, against what that many attempts would spread over."""
    replicas = _looked_up(origin, around.replicas, np.nan).astype(np.float64)
    seen = np.full(len(facts), np.nan)
    if "subject_pods" in cells:
        pods = cells["subject_pods"].where(cells["direction"] == "egress", cells["peer_pods"])
        seen = pods.to_numpy(dtype=np.float64)
    attempts = facts["attempts"].to_numpy(dtype=np.float64)
    value = np.where(ours, concentration(seen, replicas, attempts), UNKNOWN_CONCENTRATION)
    high = pd.Series(value > LEADER_CONCENTRATION, index=facts.index).astype(float)
    # a leader's work is there from the first day: whoever breaks in must not become one by what he does
    early = high.mask(settled(cells, origin))
    leader = early.groupby(origin).transform("mean").to_numpy() >= LEADER_SHARE
    facts["concentration"] = np.where(leader, UNKNOWN_CONCENTRATION, value)
    facts["pods"], facts["replicas"] = seen, np.where(ours, replicas, np.nan)
    facts["pod"] = ""
    if "subject_pod" in cells:
        facts["pod"] = cells["subject_pod"].where(cells["direction"] == "egress", cells["peer_pod"])
    facts["leader"] = leader
    facts["single_replica"] = (seen <= 1) & ours & ~leader


def _breadth(cells: pd.DataFrame, origin: pd.Series[Any], hour: pd.Series[Any]) -> Floats:
    """
    Other cells that the origin showed for the first time in the same hour.

    On the first day of an origin everything is new, so there only those count that never came back.
    """
    begun = cells["first_date"].groupby(origin).transform("min") == cells["first_date"]
    counts = (~begun | (cells["active_days"] <= 1)).astype(float)
    total = counts.groupby([origin, hour]).transform("sum")
    return np.asarray((total - counts).clip(lower=0.0), dtype=np.float64)


def _popularity(
    cells: pd.DataFrame, origin: pd.Series[Any], target: pd.Series[Any], around: Surroundings
) -> Floats:
    """Other teams with other images that call the same target; no team and no image counts twice."""
    team = _looked_up(origin, around.teams, "")
    image = _looked_up(origin, around.images, str)
    rows = pd.DataFrame({"target": target, "port": cells["port"], "team": team, "image": image})
    key = ["target", "port"]
    teams = rows.drop_duplicates([*key, "team"]).groupby(key).size()
    images = rows.drop_duplicates([*key, "image"]).groupby(key).size()
    places = pd.MultiIndex.from_frame(rows[key])
    others = np.minimum(teams.reindex(places).to_numpy(), images.reindex(places).to_numpy()) - 1
    return np.asarray(others, dtype=np.float64)


def _declared(cells: pd.DataFrame, target: pd.Series[Any], around: Surroundings) -> Floats:
    codes, pairs = group_codes(pd.DataFrame({"target": target, "port": cells["port"]}), ("target", "port"))
    listed = [(peer, port) in around.declared for peer, port in pairs.itertuples(index=False)]
    known = np.array(listed, dtype=np.bool_)[codes] | cells["port"].isin(KNOWN_PORTS).to_numpy()
    return np.where((cells["zone"] == INTERNAL).to_numpy(), known, 0.0)


def _add_questions(facts: pd.DataFrame, cells: pd.DataFrame, around: Surroundings) -> Holders:
    """Facts of the names that are asked for, and whom the destinations belong to."""
    columns = {"entropy": np.nan, "nxdomain": np.nan, "flagged": False, "generated": False}
    names = cells["peer"].where((cells["peer_kind"] == "fqdn") & (cells["direction"] == "egress"))
    domain = {text: _domain(text) for text in sorted(names.dropna().unique())}
    keys = pd.MultiIndex.from_arrays([cells["subject"], names.map(domain)])
    known = around.questions
    for column, unknown in columns.items():
        values = pd.Series(unknown, index=cells.index) if known is None else known[column].reindex(keys)
        facts[column] = values.to_numpy()
    holders = holders_of(cells, names.map(domain))
    facts["party_days"] = holders.days
    facts["tunnel"] = facts.pop("flagged").fillna(False).astype(bool)
    facts["generated"] = facts["generated"].fillna(False).astype(bool)
    return holders


def _domain(peer: str) -> str:
    name = peer.split(",", 1)[0].lstrip("*.").removesuffix(".")
    return registrable(name) or name
