"""The command ``cbnet published-to-cbnet`` as a script."""

from cbnet.commands.published_to_cbnet import main

if __name__ == '__main__':
    main()
