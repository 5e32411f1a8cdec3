"""Review state: engine, tables, migrations."""
