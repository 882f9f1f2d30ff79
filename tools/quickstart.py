"""The command ``cbnet quickstart`` as a script."""

from cbnet.commands.quickstart import main

if __name__ == '__main__':
    main()
