"""The command ``cbnet upgrade`` as a script."""

import sys

from cbnet_command import main

if __name__ == '__main__':
    main(['upgrade', *sys.argv[1:]])
