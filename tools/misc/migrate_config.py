"""The command ``cbnet migrate-config`` as a script."""

import sys

from cbnet.commands.main import main

if __name__ == '__main__':
    main(['migrate-config', *sys.argv[1:]])
