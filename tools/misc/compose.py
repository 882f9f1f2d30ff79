"""The command ``cbnet compose`` as a script."""

import sys

from cbnet_command import main

if __name__ == '__main__':
    main(['compose', *sys.argv[1:]])
