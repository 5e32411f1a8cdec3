"""The nouns: flows, labels, peers, policies, windows."""
