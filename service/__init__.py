"""Who asks and who decides: API, pages, command line, review state."""
