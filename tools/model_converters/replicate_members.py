"""The command ``cbnet replicate-members`` as a script."""

import sys

from cbnet.commands.main import main

if __name__ == '__main__':
    main(['replicate-members', *sys.argv[1:]])
