"""How good the proposals are: worlds whose truth is known, a protocol, and the table of figures."""
