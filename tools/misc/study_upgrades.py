"""The command ``cbnet study-upgrades`` as a script."""

import sys

from cbnet.commands.main import main

if __name__ == '__main__':
    main(['study-upgrades', *sys.argv[1:]])
