"""
Texts that repeat, decoded once each: label sets, owners, names, policies.

A batch of a million flows holds a few hundred distinct label lists, of three hundred bytes each. A row
keeps only the hash of such a text; the text itself is kept the first time it is seen, decoded in
Python, and joined back by its hash when the batch is aggregated.
"""

from collections.abc import Callable
from typing import Any, Final

import duckdb
import pyarrow as pa

from jobs.sources import labels
from jobs.sources.decode import KNOWN_TEXTS, TEXTS

#: Table -> the two columns of ``decoded`` it decodes, the decoder, what it gives.
MAPS: Final[dict[str, tuple[tuple[str, str], Callable[[str], tuple[str, ...]], tuple[str, ...]]]] = {
    "label_map": (("src_labels", "dst_labels"), labels.label_row, labels.LabelRow._fields),
    "owner_map": (("src_workloads", "dst_workloads"), labels.owner, ("owner", "owner_kind")),
    "name_map": (("src_names", "dst_names"), lambda text: (labels.names(text),), ("names",)),
    "policy_map": (("allowed", "denied"), lambda text: (labels.policies(text),), ("policies",)),
}
#: Where each column stands in the list ``texts`` of ``decoded``; SQL counts from 1.
_PLACES: Final = {column: place for place, column in enumerate(TEXTS, start=1)}
#: Distinct texts remembered; beyond it all are forgotten with the next batch, which bounds memory.
MAX_TEXTS: Final = 200_000


class Texts:
    """The decoded texts of a DuckDB connection."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con
        self.count = 0
        self.forget()

    def forget(self) -> None:
        """Start with no text known."""
        self._con.execute(f"CREATE OR REPLACE TEMP TABLE {KNOWN_TEXTS} (text_hash UBIGINT)")
        for table, (_, _, names) in MAPS.items():
            columns = ", ".join(f"{name} VARCHAR" for name in names)
            self._con.execute(f"CREATE OR REPLACE TEMP TABLE {table} (text_hash UBIGINT, {columns})")
        self.count = 0

    def learn(self, where: str) -> None:
        """Decode the texts of these rows of ``decoded`` that were not seen before."""
        for name, (columns, decode, names) in MAPS.items():
            both = " UNION ALL ".join(
                f"SELECT {column}_hash AS text_hash, texts[{_PLACES[column]}] AS text FROM decoded"
                f" WHERE texts IS NOT NULL AND ({where})"
                for column in columns
            )
            known = f"SELECT text_hash FROM {KNOWN_TEXTS}"
            found = self._con.execute(f"""SELECT text_hash, min(text) FROM ({both})
              WHERE text IS NOT NULL AND text_hash NOT IN ({known}) GROUP BY text_hash""").fetchall()
            if not found:
                continue
            rows = [decode(text) for _, text in found]
            arrays: dict[str, Any] = {
                "text_hash": pa.array([text_hash for text_hash, _ in found], pa.uint64())
            }
            for place, column in enumerate(names):
                arrays[column] = pa.array([row[place] for row in rows], pa.string())
            self._con.register("new_texts", pa.table(arrays))
            self._con.execute(f"INSERT INTO {name} SELECT * FROM new_texts")
            self._con.execute(f"INSERT INTO {KNOWN_TEXTS} SELECT text_hash FROM new_texts")
            self._con.unregister("new_texts")
            self.count += len(found)
