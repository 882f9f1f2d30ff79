"""The command ``cbnet average-checkpoints`` as a script."""

import sys

from cbnet.commands.main import main

if __name__ == '__main__':
    main(['average-checkpoints', *sys.argv[1:]])
