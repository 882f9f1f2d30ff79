"""The command ``cbnet benchmark`` as a script."""

import sys

from cbnet_command import main

if __name__ == '__main__':
    main(['benchmark', *sys.argv[1:]])
