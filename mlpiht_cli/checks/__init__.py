"""Claims of the paper measured on a table, and tables compared with references. Loads without torch."""
