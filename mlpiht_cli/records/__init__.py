"""Results on disk: rows, tables, records."""
