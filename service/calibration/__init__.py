"""What the numbers are worth, per cluster."""
