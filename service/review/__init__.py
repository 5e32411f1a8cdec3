"""Where proposals and rules stand, and who may move them where."""
