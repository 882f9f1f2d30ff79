"""The command ``cbnet infer`` as a script."""

import sys

from cbnet_command import main

if __name__ == '__main__':
    main(['infer', *sys.argv[1:]])
