"""Properties of the whole way, from Hubble's lines to policies."""
