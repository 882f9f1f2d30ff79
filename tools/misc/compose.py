"""The command ``cbnet compose`` as a script."""

import sys

from cbnet.commands.main import main

if __name__ == '__main__':
    main(['compose', *sys.argv[1:]])
