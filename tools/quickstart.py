"""The command ``cbnet quickstart`` as a script."""

import sys

from cbnet.commands.main import main

if __name__ == '__main__':
    main(['quickstart', *sys.argv[1:]])
