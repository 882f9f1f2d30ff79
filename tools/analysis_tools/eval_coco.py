"""The command ``cbnet eval-coco`` as a script."""

from cbnet.commands.eval_coco import main

if __name__ == '__main__':
    main()
