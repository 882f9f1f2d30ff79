"""The command ``cbnet battle`` as a script."""

import sys

from cbnet_command import main

if __name__ == '__main__':
    main(['battle', *sys.argv[1:]])
