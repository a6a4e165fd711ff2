"""Pruning and sparse training of networks: the methods that a reviewer compares IHT with, one a file."""
