"""The command ``cbnet get-flops`` as a script."""

import sys

from cbnet_command import main

if __name__ == '__main__':
    main(['get-flops', *sys.argv[1:]])
