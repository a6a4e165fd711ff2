"""Methods of other packages, that ours are compared with on tables."""
