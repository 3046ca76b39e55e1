"""The launcher as a program: `python -I -S program.py SOCKET`. Started by `launcher_client`, never imported by it.

In isolation Python does not know where we are installed: this tells it.
"""

from __future__ import annotations

import socket
import sys
from os.path import abspath, dirname


def main() -> None:
    sys.path.insert(0, dirname(dirname(dirname(abspath(__file__)))))
    from runtimes.native import launcher  # not before it can be found

    launcher.main(socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    main()
