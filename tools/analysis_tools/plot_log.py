"""The command ``cbnet plot-log`` as a script."""

import sys

from cbnet.commands.main import main

if __name__ == '__main__':
    main(['plot-log', *sys.argv[1:]])
