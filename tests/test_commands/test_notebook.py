"""docs/notebooks/inference.ipynb runs, and is committed without outputs.

It is executed as it stands, with other paths set after its first code cell.
"""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from .tiny_weights import NAMES, save_weights

ROOT = Path(__file__).parents[2]
PATH = ROOT / 'docs' / 'notebooks' / 'inference.ipynb'


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """Execute the notebook with settings of its own; give its cells."""
    monkeypatch.setenv('PYTHONPATH', str(ROOT), prepend=':')
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    for name in ('IPYTHONDIR', 'JUPYTER_RUNTIME_DIR', 'JUPYTER_DATA_DIR'):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))

    def run(**settings):
        notebook = nbformat.read(PATH, as_version=4)
        (place,) = [
            i
            for i, cell in enumerate(notebook.cells)
            if 'parameters' in cell.metadata.get('tags', [])
        ]
        lines = [f'{name} = {value}' for name, value in settings.items()]
        cell = nbformat.v4.new_code_cell('\n'.join(lines))
        notebook.cells.insert(place + 1, cell)
        NotebookClient(
            notebook,
            timeout=300,
            kernel_name='python3',
            resources={'metadata': {'path': str(PATH.parent)}},
        ).execute()
        return notebook.cells

    return run


def test_notebook_runs(tiny_config, tiny_coco, execute, tmp_path):
    weights = save_weights(tiny_config, tmp_path / 'tiny.pth')
    photo = tiny_coco.root / 'val' / '001.png'
    cells = execute(
        config=f'Path({str(tiny_config)!r})',
        checkpoint=f'Path({str(weights)!r})',
        image=f'Path({str(photo)!r})',
        score_thr='0.05',
    )
    outputs = [out for cell in cells for out in cell.get('outputs', [])]
    said = ''.join(out.get('text', '') for out in outputs)
    assert '2 members, style dhlc' in said
    assert f'classes: {", ".join(NAMES)}' in said
    assert f'{NAMES[0]} ' in said
    assert '001.png: ' in said and '002.png: ' in said
    images = [out for out in outputs if 'image/png' in out.get('data', {})]
    assert len(images) == 1


def test_without_a_checkpoint_it_says_what_to_run(execute):
    with pytest.raises(CellExecutionError, match='run make quickstart first'):
        execute(checkpoint="Path('gone.pth')")


def test_notebook_is_clean():
    notebook = nbformat.read(PATH, as_version=4)
    nbformat.validate(notebook)
    assert 6 <= len(notebook.cells) <= 10
    for cell in notebook.cells:
        assert not cell.get('outputs') and not cell.get('execution_count')
    assert "Path('../..')  # the repository" in PATH.read_text()
    assert not set(notebook.metadata) - {'kernelspec', 'language_info'}
