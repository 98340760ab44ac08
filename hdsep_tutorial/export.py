"""A notebook leaves its kernel: files and pages in which the players still play."""

import re
from pathlib import Path
from typing import Any

WIDGET = "application/vnd.jupyter.widget-view+json"


def strip_widgets(notebook: dict[str, Any]) -> dict[str, Any]:
    """Leave of each widget what plays without a kernel. Changes the notebook, and returns it.

    A reader of the file would otherwise see "model not found" instead of the player.

    Args:
        notebook: as nbformat reads it.

    >>> output = {"data": {WIDGET: {}, "text/html": "<audio></audio>"}}
    >>> strip_widgets({"metadata": {"widgets": {}}, "cells": [{"outputs": [output]}]})
    {'metadata': {}, 'cells': [{'outputs': [{'data': {'text/html': '<audio></audio>'}}]}]}

    Lesson: 00_start_here
    """
    notebook["metadata"].pop("widgets", None)
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)
    return notebook


def strip_on_save(model: dict[str, Any], **_: object) -> None:
    """Strip widgets whenever JupyterLab saves: a value for FileContentsManager.pre_save_hook.

    Lesson: 00_start_here
    """
    if model["type"] == "notebook" and model.get("content"):
        strip_widgets(model["content"])


def page_from_notebook(path: str | Path, *, mathjax_url: str = "") -> str:
    """Turn an executed notebook into one page whose players play in full, without a network.

    Args:
        path: the .ipynb, with its outputs.
        mathjax_url: where formulas find MathJax; "" leaves them as TeX and asks no network.

    Returns:
        The page, for a file in UTF-8.

    Raises:
        FileNotFoundError: there is no such file.

    Lesson: 00_start_here
    """
    import nbformat
    from nbconvert import HTMLExporter

    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} is no file, expected a notebook: check the path")
    notebook = strip_widgets(nbformat.read(path, as_version=4))
    exporter = HTMLExporter(mathjax_url=mathjax_url, require_js_url="")
    page = exporter.from_notebook_node(notebook, {"metadata": {"name": Path(path).stem}})[0]
    return re.sub(r'<script src=""> ?</script>', "", page)  # of what was left out
