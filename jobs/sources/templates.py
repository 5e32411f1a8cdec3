"""
What lines have in common, understood once each.

A template is a line whose own values were written over (``blanks``). It is looked up by its whole text,
so that two lines share one only if they are the same in every other byte; and it is used only if,
decoded, it shows what was written into the blanks as its time, uuid and ports. A line without such a
template is decoded by itself.
"""

from collections.abc import Callable
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.sources.blanks import NO_PORT, is_proved
from jobs.sources.decode import FLOW
from jobs.sources.sheets import Sheet

#: Templates remembered; beyond it only those that repeat at once are, and all are forgotten with the batch.
MAX_TEMPLATES: Final = 100_000
_ROWS_PER_BATCH: Final = 16_384  # rows that one thread of the engine takes at a time

Places = Any
Decode = Callable[[Any, int], Any]


class Templates:
    """
    The templates of a DuckDB connection.

    ``template_texts`` holds their texts; ``decoded`` what they say, under the same number. The number 0
    stands for a text that is no template, so that it is not tried again.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, decode: Decode) -> None:
        self._con = con
        self._decode = decode
        self.count = 0
        self.forget()

    def forget(self) -> None:
        """Start with no template known."""
        self._con.execute("CREATE OR REPLACE TEMP TABLE template_texts (template BIGINT, text BLOB)")
        self.count = 0
        # What a template says where nothing was taken out of its lines; numbers begin at 1.
        self.source_port, self.target_port = (np.full(1, NO_PORT, dtype=np.int64) for _ in range(2))
        self.uuid = np.full(1, "", dtype=object)

    def find(self, sheet: Sheet) -> Places:
        """Number of the template of each line of a sheet; 0 where the line must be decoded by itself."""
        if sheet.layout is None:
            return np.zeros(len(sheet), dtype=np.int64)
        texts = sheet.texts()
        found = self._look_up(texts)
        found[~sheet.values.fits] = 0
        misses = np.flatnonzero(found < 0)
        if len(misses):
            news = texts if len(misses) == len(texts) else texts.filter(pa.array(found < 0))
            found[misses] = self._learn(sheet, news.dictionary_encode(), misses)
        return found

    def _look_up(self, texts: Any) -> Places:
        """Number of each text, -1 where it is not known."""
        batches = [
            pa.record_batch(
                [
                    pa.array(np.arange(start, min(start + _ROWS_PER_BATCH, len(texts)))),
                    texts.slice(start, _ROWS_PER_BATCH),
                ],
                ["place", "text"],
            )
            for start in range(0, len(texts), _ROWS_PER_BATCH)
        ]
        numbers = np.full(len(texts), -1, dtype=np.int64)
        if self.count == 0 or not batches:
            return numbers
        self._con.register("sheet", pa.Table.from_batches(batches))
        rows = self._con.sql(
            "SELECT place, template FROM sheet JOIN template_texts USING (text)"
        ).to_arrow_table()
        self._con.unregister("sheet")
        numbers[rows["place"].to_numpy()] = rows["template"].to_numpy()
        return numbers

    def _learn(self, sheet: Sheet, texts: Any, places: Places) -> Places:
        """Decode texts (encoded, so each once) that are new, keep what is proved, and give their numbers."""
        codes, news = texts.indices.to_numpy(), texts.dictionary
        chosen = np.arange(len(news))
        room = max(MAX_TEMPLATES - self.count, 0)
        if len(news) > room:  # what repeats within a sheet is worth the last room
            chosen = np.flatnonzero(np.bincount(codes) > 1)[:room]
            news = news.take(pa.array(chosen))
        number_of = np.zeros(len(texts.dictionary), dtype=np.int64)
        if len(chosen):
            numbers = np.arange(self.count + 1, self.count + 1 + len(chosen))
            self._decode(news, int(numbers[0]))
            first = places[np.unique(codes, return_index=True)[1]]
            good = self._proved(sheet, first[chosen], numbers)
            self.count += len(chosen)
            number_of[chosen] = np.where(good, numbers, 0)
            self._con.register("new_texts", pa.table({"template": number_of[chosen], "text": news}))
            self._con.execute("INSERT INTO template_texts SELECT template, text FROM new_texts")
            self._con.unregister("new_texts")
        return number_of[codes]

    def _proved(self, sheet: Sheet, lines: Places, numbers: Places) -> Any:
        """Which of the templates with these numbers show what was written into their blanks."""
        has_ports = sheet.values.source_port[lines] >= 0
        proof = {ports: is_proved(uuid=sheet.has_uuid, ports=ports) for ports in (False, True)}
        self._con.register("tried", pa.table({"template": numbers, "has_ports": has_ports}))
        rows = self._con.sql(f"""SELECT template, coalesce(src_port, {NO_PORT}) AS src_port,
            coalesce(dst_port, {NO_PORT}) AS dst_port, uuid
          FROM decoded JOIN tried USING (template)
          WHERE kind = {FLOW} AND CASE WHEN has_ports THEN {proof[True]} ELSE {proof[False]} END""")
        found = rows.to_arrow_table()
        proved = found["template"]
        self._keep_values(found, int(numbers[-1]))
        if len(proved) < len(numbers):
            self._con.register("proved", pa.table({"template": proved}))
            self._con.execute("""DELETE FROM decoded WHERE template IN (SELECT template FROM tried)
              AND template NOT IN (SELECT template FROM proved)""")
            self._con.unregister("proved")
        self._con.unregister("tried")
        return pc.is_in(pa.array(numbers), proved).to_numpy(zero_copy_only=False)

    def _keep_values(self, found: Any, last: int) -> None:
        numbers = found["template"].to_numpy()
        for name, column in (("source_port", "src_port"), ("target_port", "dst_port"), ("uuid", "uuid")):
            held = getattr(self, name)
            grown = np.full(last + 1, "" if name == "uuid" else NO_PORT, dtype=held.dtype)
            grown[: len(held)] = held
            grown[numbers] = found[column].to_numpy(zero_copy_only=False)
            setattr(self, name, grown)
