"""``python -m cbnet`` is the console command ``cbnet``."""

from .commands.main import main

if __name__ == '__main__':
    main()
