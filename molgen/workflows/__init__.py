"""One function a subcommand: the public Python interface of molgen."""
