"""The command ``cbnet show-connections`` as a script."""

import sys

from cbnet.commands.main import main

if __name__ == '__main__':
    main(['show-connections', *sys.argv[1:]])
