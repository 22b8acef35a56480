"""Executors that carry tasks: in this process, or in a pool of processes."""
