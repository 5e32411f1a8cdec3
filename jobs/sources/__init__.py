"""Where flows come from: one reader per kind of source, all yielding flat records."""
