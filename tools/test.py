"""The command ``cbnet test`` as a script."""

from cbnet.commands.test import main

if __name__ == '__main__':
    main()
