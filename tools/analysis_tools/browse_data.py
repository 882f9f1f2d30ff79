"""The command ``cbnet browse-data`` as a script."""

import sys

from cbnet_command import main

if __name__ == '__main__':
    main(['browse-data', *sys.argv[1:]])
