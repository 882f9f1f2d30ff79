"""The command ``cbnet replicate-members`` as a script."""

from cbnet.commands.replicate_members import main

if __name__ == '__main__':
    main()
