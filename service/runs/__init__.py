"""Runs of jobs: records, leases, and starting one."""
