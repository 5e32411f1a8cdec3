"""
Errors, classed by what the caller must do about them.

One handler maps a family to an exit code or an HTTP status (``service.errors``); code below
raises the family and a sentence that names the thing at fault and the way out.
"""


class PortolanError(Exception):
    """Anything Portolan raises on purpose: shown to the user without a traceback."""


class BadInputError(PortolanError):
    """The input or the call is wrong: mend it and call again (exit 2, HTTP 400/422)."""


class NotFoundError(BadInputError):
    """The named thing does not exist (exit 2, HTTP 404)."""


class ConflictError(PortolanError):
    """The thing changed meanwhile, or another run holds it: read it again (exit 1, HTTP 409/412)."""


class UnsupportedError(PortolanError):
    """Valid input that Portolan, or the target cluster, cannot express; names the construct (exit 1)."""


class DefectError(PortolanError):
    """Portolan contradicts itself: a defect to report, of which nothing is kept (exit 1, HTTP 500)."""


class TooLittleEvidenceError(PortolanError):
    """There is not enough observation to answer; never replaced by a guess (exit 1)."""
