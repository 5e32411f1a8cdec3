"""
Keeps every manifest that tests render, so that Cilium itself can be asked about it (``.ci/suites conformance``).

Off unless ``KEEP_MANIFESTS_IN`` names a folder: an ordinary run of the tests pays nothing.
"""

import hashlib
import json
import os
from pathlib import Path

from models.manifest import render, render_kubernetes
from models.manifest.lists import opened

VARIABLE = "KEEP_MANIFESTS_IN"
#: Of one process; properties render the same few shapes over and over.
MAX_KEPT = 20_000


class Keeper:
    """Writes each distinct policy once, as a line of a file of this process."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{os.getpid()}.jsonl"
        self._seen = set()

    def wrapped(self, function):
        """The same function; what it gives is kept."""

        def keeping(*arguments, **named):
            manifest = function(*arguments, **named)
            for policy in opened(manifest):
                self._keep(policy)
            return manifest

        return keeping

    def _keep(self, manifest):
        # Evidence in annotations makes no other policy of it.
        meaning = json.dumps(
            [manifest["kind"], manifest["metadata"]["name"], manifest["spec"]], sort_keys=True
        )
        key = hashlib.sha256(meaning.encode("utf-8", "surrogatepass")).digest()
        if key not in self._seen and len(self._seen) < MAX_KEPT:
            self._seen.add(key)
            with self._path.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(manifest) + "\n")


def keep_manifests():
    """Wrap the renderers, before any other module has taken them, if the environment asks for it."""
    if folder := os.environ.get(VARIABLE):
        keeper = Keeper(Path(folder))
        render.cilium_manifest = keeper.wrapped(render.cilium_manifest)
        render_kubernetes.kubernetes_manifest = keeper.wrapped(render_kubernetes.kubernetes_manifest)
