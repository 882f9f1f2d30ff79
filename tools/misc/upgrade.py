"""The command ``cbnet upgrade`` as a script."""

import sys

from cbnet.commands.main import main

if __name__ == '__main__':
    main(['upgrade', *sys.argv[1:]])
