"""The command ``cbnet show-connections`` as a script."""

import sys

from cbnet_command import main

if __name__ == '__main__':
    main(['show-connections', *sys.argv[1:]])
