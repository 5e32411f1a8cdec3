"""Portolan's evaluator beside Cilium's own policy engine."""
