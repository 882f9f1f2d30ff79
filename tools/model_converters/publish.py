"""The command ``cbnet publish`` as a script."""

import sys

from cbnet_command import main

if __name__ == '__main__':
    main(['publish', *sys.argv[1:]])
