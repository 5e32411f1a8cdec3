"""What policies do with flows."""
