"""A seeded, believable cluster with known truth: the demo's flows and the tests' worlds."""
