"""Alembic migrations of the review state: forward only."""
