"""The command ``cbnet browse-data`` as a script."""

from cbnet.commands.browse_data import main

if __name__ == '__main__':
    main()
