"""The command ``cbnet show-connections`` as a script."""

from cbnet.commands.show_connections import main

if __name__ == '__main__':
    main()
