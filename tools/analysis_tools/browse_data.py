"""The command ``cbnet browse-data`` as a script."""

import sys

from cbnet.commands.main import main

if __name__ == '__main__':
    main(['browse-data', *sys.argv[1:]])
