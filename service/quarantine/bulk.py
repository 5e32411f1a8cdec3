"""
One verdict on many entries: all of them, or none.

Whoever decides on many has seen a list, and the list says in which state each was seen. What changed
meanwhile is named and nothing is decided, so that no entry is decided on that nobody has looked at.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from models.errors import BadInputError, ConflictError, NotFoundError
from service.db.tables import QuarantineRow
from service.errors import PreconditionFailedError
from service.quarantine import repository, service
from service.quarantine.service import VerdictRequest

#: Entries of one request.
MAX_ENTRIES: Final = 500
_NAMED: Final = 5  # entries that a refusal names


@dataclass(frozen=True, slots=True)
class Decided:
    """
    What became of the entries of a request.

    Parameters
    ----------
    rows
        All of them, in the order of the request.
    changed
        Ids of those that this request decided on; the others had this verdict already.
    """

    rows: tuple[QuarantineRow, ...]
    changed: frozenset[str]


def requests_of(tags: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The entity tags of many entries, by id, in parts that one request can hold; the order stays."""
    ordered = list(tags.items())
    return (dict(ordered[at : at + MAX_ENTRIES]) for at in range(0, len(ordered), MAX_ENTRIES))


def decide_many(
    session: Session, tags: Mapping[str, str], request: VerdictRequest, *, now: datetime
) -> Decided:
    """
    Take the same verdict on many entries.

    Parameters
    ----------
    session
        Of a transaction that is given up where this raises.
    tags
        Entity tag that each entry was seen with, by id; ``*`` where any will do.
    request
        The verdict.
    now
        When it is given.

    Raises
    ------
    BadInputError
        If there are none or too many, or the verdict lacks its reason.
    NotFoundError
        If an entry does not exist.
    PreconditionFailedError
        If an entry changed since it was seen.
    ConflictError
        If an entry was decided otherwise.
    """
    if not 1 <= len(tags) <= MAX_ENTRIES:
        raise BadInputError(f"entries: between 1 and {MAX_ENTRIES}, not {len(tags)}")
    before = {row.id: row.revision for row in repository.lock_calls(session, tags)}
    unknown = sorted(tags.keys() - before.keys())
    if unknown:
        raise NotFoundError(f"not in the quarantine: {_named(unknown)}; nothing was decided")
    changed: list[str] = []
    conflicts: list[str] = []
    for entry, tag in sorted(tags.items()):
        try:
            service.decide(session, entry, request, now=now, if_match=tag)
        except PreconditionFailedError:
            changed.append(entry)
        except ConflictError as error:
            conflicts.append(f"{entry} ({error})")
    if changed:
        raise PreconditionFailedError(
            f"{len(changed)} of {len(tags)} entries changed since they were read: {_named(changed)}; "
            "nothing was decided, read them again"
        )
    if conflicts:
        raise ConflictError(
            f"{len(conflicts)} of {len(tags)} entries: {_named(conflicts)}; nothing was decided"
        )
    session.flush()
    rows = repository.entries_by_id(session, tags)
    return Decided(
        tuple(rows[entry] for entry in tags),
        frozenset(entry for entry in tags if rows[entry].revision != before[entry]),
    )


def _named(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    return ", ".join(texts[:_NAMED]) + more
