"""One function a subcommand: the public Python interface."""
