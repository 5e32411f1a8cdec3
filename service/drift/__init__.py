"""Nightly drift: reports, the life of findings, and the doors to them."""
