"""The command ``cbnet migrate-config`` as a script."""

import sys

from cbnet_command import main

if __name__ == '__main__':
    main(['migrate-config', *sys.argv[1:]])
