"""The command ``cbnet compose`` as a script."""

from cbnet.commands.compose import main

if __name__ == '__main__':
    main()
