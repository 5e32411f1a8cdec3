"""A world as the records that Hubble would have written of it, for the real store to fold."""

from pathlib import Path

from jobs.evaluation.occurrences import NO_ADDRESS, address_text, occurrences
from jobs.evaluation.render_aside import service_name, strange_address
from jobs.evaluation.render_pods import generations, pod_names
from jobs.evaluation.runs import run_owner
from jobs.evaluation.untold import AMBIGUOUS, CLIENT_PORTS, REPLY_ONLY, SERVICE, UNRESOLVED
from jobs.evaluation.world import CLUSTER, HOUR_US, World
from jobs.observations.fold import fold
from jobs.observations.store import ObservationStore
from models.domain.window import Window
from models.frames import Observations
from tests.unit.observations.builders import End, answer_to, flow, reserved, tables_of, world

NODES = ("node-1", "node-2", "node-3")
_IDLE = world("224.0.0.251")
_NODE_ENDS = {"host": "10.9.0.4", "remote-node": "10.9.0.5"}


def folded(folder: Path, made: World, last: int, window: Window) -> Observations:
    """What the fold of the store gives for a window, of records from the first day to its end."""
    store = ObservationStore(folder)
    with store.writing() as writer:
        writer.commit(writer.next_batch(), tables_of(records(made, last)))
    return fold(store, CLUSTER, window)


def records(made: World, last: int) -> list[dict]:
    """Records from the first day on until the window that ends on day ``last`` is over."""
    people = _Ends(made, last)
    found = [_idle(made, day, hour, node) for day, hour in _hours(made, last) for node in NODES]
    for row in occurrences(made, 0, last, observed=True, from_midnight=True).to_dict("records"):
        link, count = made.links[row["link"]], row["flows"]
        hours = min(row["hours"], count)
        for number in range(count):
            hour = row["begin"] + number * hours // count
            time = made.start_us() + (24 * row["day"] + hour) * HOUR_US + 1_000_000 * (number % 3000)
            turn = 0 if link.one_pod else number
            client = people.end(row, "client", turn)
            server = people.end(row, "server", number)
            for place, (own, pod) in enumerate((("src", row["client_set"]), ("dst", row["server_set"]))):
                if pod >= 0:
                    found += _seen(made, link, (client, server), own, time, NODES[(number + place) % 3])
    return found


def _hours(made: World, last: int) -> list[tuple[int, int]]:
    end = made.window_us(0, last)[1]
    days = [(day, hour) for day in made.calendar(0, last) for hour in range(24)]
    return [(day, hour) for day, hour in days if made.start_us() + (24 * day + hour) * HOUR_US < end]


def _idle(made: World, day: int, hour: int, node: str) -> dict:
    """What a node delivers in an hour in which nobody calls: a packet that is no edge."""
    time = made.start_us() + (24 * day + hour) * HOUR_US
    fields = {"cluster": CLUSTER, "node": node, "time": time}
    return flow(reserved("host", "10.9.0.9"), _IDLE, 5353, protocol="UDP", **fields)


def _seen(made: World, link, ends: tuple[End, End], own: str, time: int, node: str) -> list[dict]:
    """One request at one end, and its answer."""
    name = made.outsides[link.outside].name if link.outside >= 0 else ""
    fields = {"cluster": CLUSTER, "node": node, "time": time, "protocol": link.protocol}
    client, server = ends
    if link.untold == AMBIGUOUS:
        if own == "dst":
            return []  # a record without a direction is of both ends
        back = link.port + CLIENT_PORTS
        unmarked = {"is_reply": None, "seen_at": "", **fields}
        return [
            flow(client, server, link.port, back, **unmarked),
            flow(server, client, back, link.port, **unmarked),
        ]
    if link.untold == UNRESOLVED:
        strange = [End("", strange_address(n), identity=0) for n in (link.client, link.server)]
        client, server = (client, strange[1]) if own == "src" else (strange[0], server)
    if link.untold == SERVICE:
        fields["dst_service"] = service_name(link)
    request = flow(client, server, link.port, seen_at=own, dst_names=name, **fields)
    if link.untold == REPLY_ONLY:
        return [answer_to(request)]
    answered = link.answered and link.untold != SERVICE
    return [request, answer_to(request)] if answered else [request]


class _Ends:
    """Pods and addresses at the ends of links."""

    def __init__(self, made: World, last: int) -> None:
        self._made = made
        self._pods = generations(made, 0, last)

    def end(self, row: dict, which: str, turn: int) -> End:
        """Whoever is at one end of a use: one of the pods of its day, a node, or an address."""
        made, link, label_set = self._made, self._made.links[row["link"]], row[f"{which}_set"]
        if label_set < 0:
            if row["address"] != NO_ADDRESS:
                return world(address_text(made, row["address"]))
            return reserved(link.entity, _NODE_ENDS[link.entity])
        number = made.label_sets[label_set].workload
        pods = self._pods[(self._pods["workload"] == number) & (self._pods["begin"] <= row["day"])]
        names = pod_names(made, number, int(pods.iloc[-1]["start"]))
        place = turn % len(names)
        one, key = made.workloads[number], made.label_sets[label_set]
        owner = (one.name, one.kind) if one.run is None else run_owner(one.run, one.namespace, row["day"])
        return End(
            key.key,
            f"10.0.{number}.{row['day'] * 7 + place + 1}",
            names[place],
            one.namespace,
            owner[0] if made.owned[number] else "",
            owner[1],
            labels="[" + ", ".join(f'"{text}"' for text in key.texts) + "]",
        )
