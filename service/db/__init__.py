"""The review state: engine, sessions, tables, migrations."""

from service.db import tables_drift as tables_drift  # every table belongs to the metadata that is migrated
