"""The command ``cbnet quickstart`` as a script."""

import sys

from cbnet_command import main

if __name__ == '__main__':
    main(['quickstart', *sys.argv[1:]])
