"""Runs a notebook and keeps its new outputs: `python docs/site/run_notebook.py NOTEBOOK`.

What it leaves out would differ from run to run or machine to machine: the times of cells, and what
TensorFlow logs.
"""

import pathlib
import sys

import nbformat
from nbclient import NotebookClient


def main(path: pathlib.Path) -> None:
    """Runs a notebook in its own directory; one whose cell fails is not written.

    Raises:
      CellExecutionError: with the traceback of that cell.
    """
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, kernel_name="python3", record_timing=False, resources=where).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
    notebook.metadata.language_info = {"name": "python"}
    nbformat.write(notebook, path)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
