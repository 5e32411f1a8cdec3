"""What the traffic means: pure functions and frozen values, no I/O, no clock."""
