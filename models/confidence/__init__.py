"""How sure: per rule, per policy, and whether yesterday's certainty held."""
