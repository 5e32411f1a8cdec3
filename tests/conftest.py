"""What holds for all tests."""

from tests.kept import keep_manifests

keep_manifests()
