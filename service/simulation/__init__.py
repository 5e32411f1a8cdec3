"""Questions about policies: what they would do with flows, with stored observations, and why."""
