"""Frames: reading them safely, storing them in shards, splitting them by time."""
