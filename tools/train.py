"""The command ``cbnet train`` as a script."""

from cbnet.commands.train import main

if __name__ == '__main__':
    main()
