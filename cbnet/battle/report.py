"""Write what a battle has found."""

import json
from pathlib import Path

from ..atomic_files import write_whole
from .results import Results
from .tables import as_csv, as_json, as_markdown


def write_report(results: Results, folder: Path) -> list[Path]:
    """Write the tables of what is done so far; give the files."""
    texts = {
        'results.md': as_markdown(results),
        'results.csv': as_csv(results),
        'results.json': json.dumps(as_json(results), indent=1) + '\n',
    }
    for name, text in texts.items():
        write_whole(folder / name, text.encode())
    return [folder / name for name in texts]
