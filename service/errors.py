"""One table from error family to exit code and HTTP status; nothing else decides either."""

from typing import Final

from models.errors import (
    BadInputError,
    ConflictError,
    NotFoundError,
    PortolanError,
    TooLittleEvidenceError,
    UnsupportedError,
)


class PreconditionFailedError(ConflictError):
    """The thing changed since the caller read it (HTTP 412)."""


class PreconditionRequiredError(BadInputError):
    """An edit came without saying which state it was decided on (HTTP 428)."""


EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_BAD_INPUT: Final = 2
EXIT_INTERRUPTED: Final = 130  # what shells expect after Ctrl-C

#: Most specific family first: the first match decides. Slug, HTTP status, title.
_FAMILIES: Final[tuple[tuple[type[PortolanError], str, int, str], ...]] = (
    (PreconditionFailedError, "precondition-failed", 412, "Changed since it was read"),
    (PreconditionRequiredError, "precondition-required", 428, "If-Match is required"),
    (NotFoundError, "not-found", 404, "Not found"),
    (BadInputError, "bad-input", 422, "Bad input"),
    (ConflictError, "conflict", 409, "Conflict"),
    (UnsupportedError, "unsupported", 422, "Not supported"),
    (TooLittleEvidenceError, "too-little-evidence", 409, "Too little seen"),
    (PortolanError, "failed", 500, "Failed"),
)


def exit_code(error: PortolanError) -> int:
    """2 where the caller has to change the call, 1 where the call failed."""
    return EXIT_BAD_INPUT if isinstance(error, BadInputError) else EXIT_FAILED


def http_family(error: PortolanError) -> tuple[str, int, str]:
    """Slug, status and title of the family an error belongs to."""
    return next(
        (slug, status, title) for family, slug, status, title in _FAMILIES if isinstance(error, family)
    )
