"""``python -m invitereg`` is the command ``invitereg``."""

from invitereg.cli import main

if __name__ == "__main__":
    main()
