"""The command ``cbnet published-to-cbnet`` as a script."""

import sys

from cbnet_command import main

if __name__ == '__main__':
    main(['published-to-cbnet', *sys.argv[1:]])
