"""The command ``cbnet infer`` as a script."""

from cbnet.commands.infer import main

if __name__ == '__main__':
    main()
