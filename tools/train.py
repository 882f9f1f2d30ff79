"""The command ``cbnet train`` as a script."""

import sys

from cbnet_command import main

if __name__ == '__main__':
    main(['train', *sys.argv[1:]])
