"""The command ``cbnet infer`` as a script."""

import sys

from cbnet.commands.main import main

if __name__ == '__main__':
    main(['infer', *sys.argv[1:]])
