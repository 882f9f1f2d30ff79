"""The command ``cbnet test`` as a script."""

import sys

from cbnet.commands.main import main

if __name__ == '__main__':
    main(['test', *sys.argv[1:]])
