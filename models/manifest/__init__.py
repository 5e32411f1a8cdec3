"""Manifests: read, checked, written."""
