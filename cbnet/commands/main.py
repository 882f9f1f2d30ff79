"""The console command: ``cbnet NAME ...`` runs one of the commands."""

import importlib
import sys

COMMANDS = {
    'train': 'train the detector of a config',
    'test': 'evaluate a checkpoint',
    'infer': 'detect objects in images and videos',
    'quickstart': 'generate a data set, train on it, show what was learned',
    'compose': 'write the composite twin of a config',
    'doctor': 'examine the installation',
    'get-flops': 'count parameters and multiply-accumulates',
    'eval-coco': "compute COCO's figures for a results file",
    'plot-log': 'draw the curves of training runs',
    'browse-data': 'show the images that a detector is fed',
    'show-connections': 'show what each connection adds',
    'average-checkpoints': 'average the weights of checkpoints',
    'replicate-members': "put a detector's weights into every member",
    'published-to-cbnet': 'convert a published checkpoint',
    'migrate-config': 'convert a published config',
}
_MODULES = {'doctor': 'cbnet.doctor.__main__'}


def usage() -> str:
    """List the commands."""
    width = max(map(len, COMMANDS))
    lines = [f'  {name:{width}}  {what}' for name, what in COMMANDS.items()]
    return '\n'.join(
        [
            'usage: cbnet COMMAND [arguments]',
            '',
            *lines,
            '',
            'cbnet COMMAND --help describes one command.',
        ]
    )


def main() -> None:
    """Run the command that the command line names."""
    name = sys.argv[1] if len(sys.argv) > 1 else '--help'
    if name in ('-h', '--help'):
        sys.stdout.write(usage() + '\n')
        return
    if name not in COMMANDS:
        sys.stderr.write(f'{usage()}\ncbnet: error: no command {name!r}\n')
        raise SystemExit(2)
    module = _MODULES.get(name, f'cbnet.commands.{name.replace("-", "_")}')
    sys.argv = [f'cbnet {name}', *sys.argv[2:]]
    importlib.import_module(module).main()
