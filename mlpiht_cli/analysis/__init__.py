"""What is read from tables: which rows belong to a spec, scores, scaling laws."""
