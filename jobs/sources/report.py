"""What an ingest did: how many of what, per file, and what the data lacks."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

#: Fewer flows than this say nothing about what a source leaves out.
MIN_FLOWS_TO_MISS: Final = 10

#: Fact -> what its absence from a whole file costs.
COSTS: Final = {
    "is_reply": "replies are told by flags, trace reasons and their mirror, what stays unclear is left out",
    "labels": "pods are known by namespace and workload only: selectors need labels from the cluster",
    "node_name": "coverage per node is unknown, and flows without a uuid are told apart less well",
    "ports": "no port can be allowed: only which workloads talk to each other is learned",
    "addresses": "peers outside the cluster stay unnamed: no CIDR and no FQDN rule can be learned",
    "a verdict but DROPPED": "the source keeps denials only, by a filter it seems: nothing can be allowed",
}


@dataclass(slots=True)
class FileReport:
    """Counts of one file (or of standard input, ``-``)."""

    path: str
    records: int = 0
    accepted: int = 0
    duplicates: int = 0
    lost_events: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    present: Counter[str] = field(default_factory=Counter)  # flows that have each fact of COSTS
    flows: int = 0
    renamed: Counter[str] = field(default_factory=Counter)  # flows kept under another cluster, by the run's

    def as_json(self) -> dict[str, Any]:
        """Counts for the report; reasons in order of their names."""
        return {
            "path": self.path,
            "records": self.records,
            "accepted": self.accepted,
            "skipped": dict(sorted(self.skipped.items())),
            "rejected": dict(sorted(self.rejected.items())),
            "duplicates": self.duplicates,
            "lost_events": self.lost_events,
        }

    def counts(self) -> Counter[str]:
        """Total counts, as the table ``batches`` keeps them."""
        return Counter(
            records=self.records,
            accepted=self.accepted,
            skipped=self.skipped.total(),
            rejected=self.rejected.total(),
            duplicates=self.duplicates,
            lost_events=self.lost_events,
        )

    def accept(self, count: int) -> None:
        """Count new flows."""
        self.records += count
        self.accepted += count

    def repeat(self, count: int) -> None:
        """Count records that are stored already."""
        self.records += count
        self.duplicates += count

    def skip(self, reason: str, count: int) -> None:
        """Count records that are no flows."""
        self.records += count
        self.skipped[reason] += count

    def refuse(self, reason: str) -> None:
        """Count a line or record that was not used."""
        self.records += 1
        self.rejected[reason] += 1

    def warnings(self) -> list[str]:
        """What the whole file lacks or says wrongly, and what that costs."""
        found = [
            f"{self.path}: flows {_renamed(cluster)}: {count}"
            for cluster, count in sorted(self.renamed.items())
            if count
        ]
        if self.flows < MIN_FLOWS_TO_MISS:
            return found
        return found + [
            f"{self.path}: no flow has {fact}: {cost}"
            for fact, cost in COSTS.items()
            if not self.present[fact]
        ]


def _renamed(cluster: str) -> str:
    if cluster:
        return f"that name another cluster, kept under {cluster}"
    return "whose cluster is no name, kept under another of theirs or as default"


@dataclass(slots=True)
class IngestReport:
    """
    Counts of one ingest.

    ``records = accepted + sum(skipped) + sum(rejected) + duplicates``, for each file and in total.
    """

    files: list[FileReport] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def records(self) -> int:
        """Records and lines met, whatever became of them."""
        return sum(file.records for file in self.files)

    @property
    def accepted(self) -> int:
        """Flows that are new and now stored."""
        return sum(file.accepted for file in self.files)

    @property
    def duplicates(self) -> int:
        """Records that were stored before."""
        return sum(file.duplicates for file in self.files)

    @property
    def lost_events(self) -> int:
        """Events that Hubble says it lost."""
        return sum(file.lost_events for file in self.files)

    @property
    def skipped(self) -> Counter[str]:
        """Records that are no flows, by reason."""
        return sum((file.skipped for file in self.files), Counter())

    @property
    def rejected(self) -> Counter[str]:
        """Lines and records that could not be used, by reason; they are kept in ``rejects/``."""
        return sum((file.rejected for file in self.files), Counter())

    def as_json(self) -> dict[str, Any]:
        """Return the report as ``portolan ingest --format json`` prints it."""
        return {
            "records": self.records,
            "accepted": self.accepted,
            "skipped": dict(sorted(self.skipped.items())),
            "rejected": dict(sorted(self.rejected.items())),
            "duplicates": self.duplicates,
            "lost_events": self.lost_events,
            "files": [file.as_json() for file in self.files],
            "warnings": list(self.warnings),
        }
