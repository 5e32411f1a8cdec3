"""Work during which nobody looks for garbage in cycles."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """
    Leave cycles of objects where they are until the work is done.

    An inference holds millions of small objects to its end, and each search for cycles among them walks
    through all: a fifth of its time. What is in no cycle, which is nearly everything, goes at once as
    always (docs/decisions/0051).
    """
    were_collected = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if were_collected:
            gc.enable()
