"""The command ``cbnet plot-log`` as a script."""

import sys

from cbnet_command import main

if __name__ == '__main__':
    main(['plot-log', *sys.argv[1:]])
