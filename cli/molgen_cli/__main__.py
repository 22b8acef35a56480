"""``python -m molgen_cli`` is the command ``molgen``."""

from molgen_cli.main import run

if __name__ == "__main__":
    run()
