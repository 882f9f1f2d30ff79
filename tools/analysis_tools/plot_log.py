"""The command ``cbnet plot-log`` as a script."""

from cbnet.commands.plot_log import main

if __name__ == '__main__':
    main()
