"""Reading of tables: the rows that belong to a spec, their scores, scaling laws."""
