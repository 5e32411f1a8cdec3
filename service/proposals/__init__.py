"""Proposals: stored, listed, decided on."""
