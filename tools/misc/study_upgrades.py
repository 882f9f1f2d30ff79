"""The command ``cbnet study-upgrades`` as a script."""

import sys

from cbnet_command import main

if __name__ == '__main__':
    main(['study-upgrades', *sys.argv[1:]])
