"""``docs/evaluation.md``: how the figures are made, and between two markers the figures themselves."""

from collections.abc import Iterable
from typing import Final

import pandas as pd

from jobs.evaluation.parameters import WorldParameters
from jobs.evaluation.tables import TextTable, detail_tables, score_table
from jobs.evaluation.targets import ELSEWHERE
from models.errors import BadInputError

BEGIN: Final = "<!-- begin: portolan evaluate --write -->"
END: Final = "<!-- end: portolan evaluate --write -->"

HEADER: Final = """# Evaluation

How good are the proposals? `portolan evaluate` answers on clusters whose truth is known, because it made
them. This page is written by `portolan evaluate --worlds report --write`; whatever stands between the two
markers is replaced by each run.

## The worlds

A world is a cluster of 30 to 300 workloads over six weeks, drawn from a seed (`jobs/evaluation/`): teams
with frontends, services and StatefulSets whose replicas talk to each other, tenants of one role in
namespaces of their own, shards, an ingress with public visitors, monitoring that scrapes all, a resolver,
shared services, FTP with ports that change. Labels follow one of six conventions per namespace, one of them
with the version in the labels and one that hardly names anything. Outside are services that many use, names
whose addresses rotate, domains under which new names keep appearing, accounts on a suffix that everybody
shares, addresses without names. Links are used all day, on working days, now and then with a chance that
falls like a power of their rank, daily, weekly or monthly by schedule; what keeps to no hour begins at any.
Releases add and remove links, incidents turn a namespace to its fallbacks for a day, pods are replaced, two
tenants and two shards arrive after learning, days lose events or a node, and some namespaces show no DNS. Ten
families of attacks act in the learning window and again after it, from one replica unless their nature is
another.

Some worlds hold more. In one set windows begin and end at 14:00, so that the first and the last day are
partial, as those of a nightly run are. In one, tools start runs: Spark, Airflow, Argo, Tekton, a CI runner,
Jobs and scripts, each run with pods and labels that are never seen again, and owners only where the tool
makes them; services use several accounts in clouds, by names with a region or a private endpoint in them,
where strangers have accounts, too, or a zone of their own. In one, a share of what workloads call is
recorded only as what is no edge (an address that nobody had, replies alone, packets of which none is known
for the answer, a service without pods), agents call and are called on the network of their node, and the
API server calls a webhook.

Tuning worlds and reporting worlds have different seeds (`TUNE_SEEDS`, `REPORT_SEEDS`) and different
parameters. Thresholds may be tuned on the former only; the figures below are of the latter: three worlds
for each of fifteen sets of parameters. Their seeds are used for the first time once the changes that they
judge are done; those of earlier reports (9201 to 9212, 40101 to 40312, 53101 to 53312, 64101 to 64312,
75101 to 75312, 86101 to 86315, 97101 to 97315, 108101 to 108315) were given up, because their figures had
been read by whoever went on. Drift is reported on the first world of each set, over nights that end at
midnight.

## The protocol

The first 14 (and 28) days are rendered as observations, as the fold of the observation store gives them (a
test folds the records of small worlds and compares; only connections of UDP are counted that no fold
counts), and proposed from. The manifests are parsed as Cilium would parse them, and every use of a link on
the following 7 and 14 days is judged at both of its gates by the fast evaluator. A use that the evaluator
cannot decide counts as denied. A *cell* is a link between two workloads, or from a workload to a name or an
unnamed address; it is denied if any use of it is. The truth class of a use says why a policy could not have
known it. Probes of the node are in no figure.

- *Needed internal cells covered* counts the cells inside the cluster that were seen, or are of a tenant or
  shard that arrived later.
- *New tenants, new shards admitted* counts only cells that cross at least one gate under default deny. Where
  one tenant alone was there while learning, no role of tenants could be known: whoever comes is a *second
  tenant*, with rows of its own.
- *Attack cells admitted* are those of the learning window that the policies made from it would let through;
  for a DNS tunnel, a sample of its questions. *Put before a reviewer* means not admitted, or admitted only by
  rules that no automation may approve. Scans count with every cell, so the mean over families is given too.
  Rows beside them leave out what no policy could refuse: contacts of a scan on a way (labels of both ends,
  protocol, port) that wanted traffic takes, too, and questions of workloads whose DNS is not seen. *At gates
  under default deny* leaves out what passes no gate that a policy closes: a direction stays open where what
  worked cannot be written as a rule, and each proposal says so. The row of all cells keeps its limit: where
  it misses it and the row beside it does not, no policy could meet it without denying what was seen.
- *Permissiveness* is the number of (workload, direction, workload, port) that the policies open at gates
  under default deny, over the number that anything legitimate uses until the last judged day.
- *Exact rules per workload* are the distinct (workload, direction, peer, port) observed, names in place of
  addresses; the *exact allow-list* has one rule per recorded edge between label sets and addresses, without
  names or screening, and is judged in the same way.
- On *quiet nights* a world without releases, incidents and attacks is learned from a window of 14 days that
  moves on by one day; an *unchanged* rule is one whose observed edges were the same on both nights. *Time to
  stable* is told by windows that grow from their first day, as after an installation: stable is a night that
  changes at most one rule in a hundred (floor: after 21 days, target: after 14).
- Forecasts are compared with the seven days after learning: `p_need` with whether a rule was used, `p_legit`
  with whether an attack stands behind it, the completeness of a gate with the legitimate cells it denied.
  Where proposals carry no number, the row says so.
- *New runs* are uses of a link that was seen, with labels of a run that was not. *Untold* cells were seen,
  but told only as no edge: what a policy denies of them counts as denied. A stranger's name is admitted if
  any egress pattern of any workload matches it.
- What a release after learning adds cannot be foreseen, so denials are shown with and without it.

## What synthetic figures cannot show

The generator and the method were written by people who had read the same page: rare links are drawn from
distributions that the method assumes, and intruders do what the ten families say. A good figure here shows
that the machinery is sound, not that a real cluster behaves so; a bad figure here is bad everywhere.
Quarter ends, disaster recovery and slow changes of use are missing. Workloads do not fail over between
clusters, and layer 7 is not judged except for DNS. A run lasts an hour or two, there is one a day at most,
and none crosses midnight; two tools never make pods with the same labels. What is untold stays so for the
whole window, and its strange address stays the same, which in a real cluster changes with the pod. Callers
on the host network are nodes and nothing else: whether one pod of a node or another calls is not told
apart, and probes, which come from the same node, hide those of the own node. Names of clouds are of eleven
services. Drift knows none of the windows that begin within a day. Whoever runs Portolan gets calibration
from their own held-out weeks, which counts for more than this page.
"""


def _tables(tables: Iterable[TextTable]) -> list[str]:
    return [f"### {table.title}\n\n{table.markdown()}\n" for table in tables]


def _worlds(worlds: Iterable[WorldParameters]) -> TextTable:
    rows = tuple(
        (
            one.name,
            str(one.seed),
            str(one.workloads),
            str(one.start),
            f"{one.churn:g}",
            f"{one.incidents:g}",
            f"{one.cron:g}",
            f"{one.tail:g}",
            f"{one.dns_visibility:g}",
            f"{one.loss:g}",
            str(one.hour),
            str(one.runs),
            f"{one.untold:g}",
            str(one.clouds),
            str(one.host_network),
        )
        for one in worlds
    )
    headers = (
        "World",
        "Seed",
        "Workloads",
        "First day",
        "Churn",
        "Incidents",
        "Cron",
        "Tail",
        "DNS seen",
        "Loss",
        "Hour",
        "Runs",
        "Untold",
        "Clouds",
        "Host network",
    )
    return TextTable("Worlds", headers, rows)


def figures_text(summary: pd.DataFrame, worlds: Iterable[WorldParameters], which: str) -> str:
    """Everything between the markers."""
    score = score_table(summary)
    missing = TextTable(
        "Rows of the method's table that are measured elsewhere", ("Figure", "Where"), ELSEWHERE
    )
    parts = [
        f"## Figures of the {which} worlds\n",
        "Floors and targets with a slash are for 14 and 28 days of learning.\n",
        *_tables([score, *detail_tables(summary), missing, _worlds(worlds)]),
    ]
    return "\n".join(parts)


def updated(document: str | None, figures: str) -> str:
    """
    The page with new figures; everything outside the markers stays as it is.

    Raises
    ------
    BadInputError
        If an existing page has lost one of its markers.
    """
    if document is None:
        return f"{HEADER}\n{BEGIN}\n\n{figures}\n{END}\n"
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BadInputError(f"the page lacks one of its markers: {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{figures}\n{END}{after}"
