"""Tests of the observation store: normalising, aggregating, keeping, folding."""
