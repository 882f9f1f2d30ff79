"""The command ``cbnet average-checkpoints`` as a script."""

from cbnet.commands.average_checkpoints import main

if __name__ == '__main__':
    main()
