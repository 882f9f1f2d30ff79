"""The command ``cbnet train`` as a script."""

import sys

from cbnet.commands.main import main

if __name__ == '__main__':
    main(['train', *sys.argv[1:]])
