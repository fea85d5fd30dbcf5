"""The command line as `python -m bert4keras`."""

from .cli import main

if __name__ == "__main__":
    main(prog_name="python -m bert4keras")
