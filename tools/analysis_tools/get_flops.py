"""The command ``cbnet get-flops`` as a script."""

from cbnet.commands.get_flops import main

if __name__ == '__main__':
    main()
