"""The command ``cbnet average-checkpoints`` as a script."""

import sys

from cbnet_command import main

if __name__ == '__main__':
    main(['average-checkpoints', *sys.argv[1:]])
