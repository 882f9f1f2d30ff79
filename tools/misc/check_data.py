"""The command ``cbnet check-data`` as a script."""

import sys

from cbnet_command import main

if __name__ == '__main__':
    main(['check-data', *sys.argv[1:]])
