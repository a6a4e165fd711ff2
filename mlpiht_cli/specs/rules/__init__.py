"""What is wrong with a spec, by its schema alone."""
