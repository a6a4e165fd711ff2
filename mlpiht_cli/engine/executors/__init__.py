"""Where jobs are run: in this process, or in worker processes here or on a cluster."""
