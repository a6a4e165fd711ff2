"""What is written down: rows, tables, records."""
