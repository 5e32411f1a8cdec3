"""
What lines have in common, understood once each.

A template is a line whose own values were written over (``blanks``). It is looked up by its whole text
(``dictionary``), so that two lines share one only if they are the same in every other byte; and it is used
only if, decoded, it shows what was written into the blanks as its time, uuid and ports. A line without such
a template is decoded by itself.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.sources.ahead import Lines
from jobs.sources.blanks import NO_PORT, is_proved
from jobs.sources.decode import FLOW
from jobs.sources.dictionary import FIRST, NONE

Places = Any
Decode = Callable[[Any, int], Any]

#: What a template says where nothing was taken out of its lines, and what stands for nothing.
_SAID: Final = {"source_port": NO_PORT, "target_port": NO_PORT, "uuid": ""}


class Templates:
    """
    The templates of a DuckDB connection: ``decoded`` holds what they say, under their number.

    Arrays have one element per number from ``first`` on.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, decode: Decode) -> None:
        self._con = con
        self._decode = decode
        self.next = FIRST  # number of the template that is learned next
        self.forget()

    def forget(self) -> None:
        """Know no template any more; numbers go on."""
        self.first = self.next
        self._good = np.empty(0, dtype=bool)
        self.source_port, self.target_port = (np.empty(0, dtype=np.int32) for _ in range(2))
        self.uuid = np.empty(0, dtype=object)

    @property
    def count(self) -> int:
        """Templates that were learned and not forgotten."""
        return self.next - self.first

    def are_good(self, numbers: Places) -> Places:
        """Which of these numbers are of templates that were learned and proved."""
        found = np.zeros(len(numbers), dtype=bool)
        some = np.flatnonzero(numbers != NONE)
        found[some] = self._good[numbers[some] - self.first]
        return found

    def learn(self, blocks: Sequence[Lines]) -> None:
        """Decode the texts that came with these lines, and keep those that are proved."""
        texts = pa.chunked_array([lines.news for lines in blocks], pa.large_binary())
        if not len(texts):
            return
        numbers = np.arange(self.next, self.next + len(texts))
        has_ports = np.concatenate([lines.values.source_port[lines.new_at] >= 0 for lines in blocks])
        has_uuid = np.repeat([lines.has_uuid for lines in blocks], [len(lines.news) for lines in blocks])
        self._decode(texts, self.next)
        self.next += len(texts)
        tried = pa.table({"template": numbers, "has_ports": has_ports, "has_uuid": has_uuid})
        self._good = np.append(self._good, self._proved(tried))

    def _proved(self, tried: Any) -> Any:
        """Which of these templates show what was written into their blanks."""
        self._con.register("tried", tried)
        cases = " ".join(
            f"WHEN has_uuid = {uuid} AND has_ports = {ports} THEN {is_proved(uuid=uuid, ports=ports)}"
            for uuid in (False, True)
            for ports in (False, True)
        )
        rows = self._con.sql(f"""SELECT template, coalesce(src_port, {NO_PORT}) AS source_port,
            coalesce(dst_port, {NO_PORT}) AS target_port, uuid
          FROM decoded JOIN tried USING (template) WHERE kind = {FLOW} AND CASE {cases} END""")
        found = rows.to_arrow_table()
        proved = found["template"]
        self._keep_values(found)
        if len(proved) < len(tried):
            self._con.register("proved", pa.table({"template": proved}))
            self._con.execute("""DELETE FROM decoded WHERE template IN (SELECT template FROM tried)
              AND template NOT IN (SELECT template FROM proved)""")
            self._con.unregister("proved")
        self._con.unregister("tried")
        return pc.is_in(tried["template"], proved).to_numpy()

    def _keep_values(self, found: Any) -> None:
        places = found["template"].to_numpy() - self.first
        for name, nothing in _SAID.items():
            held = getattr(self, name)
            grown = np.full(self.count, nothing, dtype=held.dtype)
            grown[: len(held)] = held
            grown[places] = found[name].to_numpy()
            setattr(self, name, grown)
