"""Makes `python -m segmentor` the same as the command `segmentor`."""

import sys

from segmentor.cli import main

if __name__ == "__main__":
    sys.exit(main())
