"""The command ``cbnet publish`` as a script."""

import sys

from cbnet.commands.main import main

if __name__ == '__main__':
    main(['publish', *sys.argv[1:]])
