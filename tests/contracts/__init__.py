"""One suite per interface, run on every adapter."""
