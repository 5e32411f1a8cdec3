"""Drift: what last night's traffic and today's deployed policies say about each other."""
