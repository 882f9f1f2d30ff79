"""The command ``cbnet eval-coco`` as a script."""

import sys

from cbnet_command import main

if __name__ == '__main__':
    main(['eval-coco', *sys.argv[1:]])
