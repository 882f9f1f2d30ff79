"""The command ``cbnet replicate-members`` as a script."""

import sys

from cbnet_command import main

if __name__ == '__main__':
    main(['replicate-members', *sys.argv[1:]])
