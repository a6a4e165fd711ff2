"""Rivals of IHT for sparse linear models: thresholding, greedy pursuits and the lasso."""
