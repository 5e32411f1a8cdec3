"""What each run needs to know: frozen values, made by the service from its settings."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from models.domain.capabilities import CapabilityHints


@dataclass(frozen=True, slots=True)
class FileSource:
    """A configured place that Hubble JSON files are read from."""

    name: str
    paths: tuple[str, ...]
    cluster: str | None
    interval: timedelta

    @property
    def source(self) -> str:
        """Name under which the store keeps its cursor and its coverage."""
        return f"file:{self.name}"


@dataclass(frozen=True, slots=True)
class InferConfig:
    """How proposals are made."""

    cluster: str | None  # None: the only cluster in the store
    window: timedelta
    posture: Literal["generous", "balanced", "strict"]
    capabilities: CapabilityHints
