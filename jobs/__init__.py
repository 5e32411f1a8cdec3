"""When, and from where to where: sources, stores and runs."""
