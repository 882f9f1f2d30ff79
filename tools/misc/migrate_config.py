"""The command ``cbnet migrate-config`` as a script."""

from cbnet.commands.migrate_config import main

if __name__ == '__main__':
    main()
