"""Executors: they run jobs in this process, or in worker processes on this machine or a cluster."""
