"""The command ``cbnet test`` as a script."""

import sys

from cbnet_command import main

if __name__ == '__main__':
    main(['test', *sys.argv[1:]])
