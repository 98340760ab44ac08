"""The house stays easy to live in: imports point down, rooms stay small, words stay true."""

import ast
import re
import subprocess
from pathlib import Path

import hdsep_tutorial
from hdsep_tutorial.__main__ import FORMATS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hdsep_tutorial"
FLOORS = {
    **dict.fromkeys(
        ["__init__", "startup", "audio", "decoding", "saving", "assets", "download"], 0
    ),
    **dict.fromkeys(
        ["chunks", "runtime", "spectrogram", "metrics", "synthesis", "fast", "cache", "export"], 0
    ),
    **dict.fromkeys(["songs", "bundles", "separation", "listening", "scores"], 1),
    **dict.fromkeys(["comparison", "lesson", "remix", "doctor"], 2),
    **dict.fromkeys(["player", "explorer", "report", "exercises", "training"], 3),
    "__main__": 4,
}
# A room of floor 0 that became two, and the door to the check.
BESIDE = {("__init__", "startup"), ("assets", "download"), ("audio", "decoding")}
BESIDE |= {("report", "player")}
LESSONS_ROOMS = ["audio", "songs", "bundles", "chunks", "separation"]
LESSONS_ROOMS += ["spectrogram", "metrics", "comparison"]
MAX_LINES_OF_A_ROOM, MAX_CODE_OF_LESSONS_ROOMS, MAX_CODE = 300, 1200, 2800
MAX_CODE_OF_WIDGETS = 900


def _rooms():
    return {path.stem: path for path in PACKAGE.glob("*.py")}


def _files():
    """Yield (room, file) for every file; a folder is one room."""
    for path in PACKAGE.rglob("*.py"):
        yield path.relative_to(PACKAGE).with_suffix("").parts[0], path


def _lines_of_code(path):
    """Count lines that hold code: no docstrings, comments or blank lines."""
    text = path.read_text(encoding="utf-8")
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        number
        for node in ast.walk(ast.parse(text))
        if isinstance(node, documented) and ast.get_docstring(node)
        for number in range(node.body[0].lineno, node.body[0].end_lineno + 1)
    }
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") and number not in docstrings
        for number, line in enumerate(text.splitlines(), 1)
    )


def _imports(path):
    """Yield the rooms that a file imports, wherever in it the import stands."""
    level = len(path.relative_to(PACKAGE).parts)  # .room from a file, ..room from a folder
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == level:
            yield from [node.module.split(".")[0]] if node.module else [a.name for a in node.names]


def test_every_room_has_a_floor_and_imports_point_down():
    for room, path in _files():
        assert room in FLOORS, f"{room} has no floor"
        for imported in set(_imports(path)) - {"__version__"}:
            below = FLOORS[imported] < FLOORS[room]
            assert below or (room, imported) in BESIDE, f"{room} imports {imported}"


def test_no_room_takes_what_another_keeps_to_itself():
    for room, path in _files():
        level = len(path.relative_to(PACKAGE).parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == level:
                private = {name.name for name in node.names if re.match("_[^_]", name.name)}
                assert not private, f"{room} imports {private} from {node.module}"


def test_ipython_and_widgets_live_on_floor_3_only():
    for room, path in _files():
        if FLOORS[room] == 3:
            continue
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*(from|import) (IPython|ipywidgets|anywidget)", text, re.M), room


def test_rooms_stay_small():
    for room, path in _files():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES_OF_A_ROOM, room
    assert (
        sum(_lines_of_code(_rooms()[room]) for room in LESSONS_ROOMS) <= MAX_CODE_OF_LESSONS_ROOMS
    )
    beside = ("synthesis", "training", "exercises")  # the band, its pupil, and the lessons' checks
    widgets = ("player", "explorer", "report")  # floor 3, for notebooks only
    helper = [
        path
        for path in PACKAGE.rglob("*.py")
        if not {*path.relative_to(PACKAGE).with_suffix("").parts} & {*beside, *widgets}
    ]
    assert sum(map(_lines_of_code, helper)) <= MAX_CODE
    shown = [p for w in widgets for p in [*PACKAGE.glob(f"{w}.py"), *PACKAGE.glob(f"{w}/*.py")]]
    assert sum(map(_lines_of_code, shown)) <= MAX_CODE_OF_WIDGETS


def test_functions_stay_short_and_say_what_they_take():
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                code = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                assert code <= 40, f"{path.name}: {node.name} has {code} lines of code"


def test_public_functions_name_their_errors_and_their_lesson():
    for name in hdsep_tutorial.__all__:
        named = getattr(hdsep_tutorial, name)
        text = named.__doc__
        takes = named.__init__.__doc__ if isinstance(named, type) else text
        assert "Args:" in takes, name
        assert "Lesson: " in text.splitlines()[-1] or "Lesson: " in text.splitlines()[-2], name


def test_every_public_name_is_used_in_a_lesson_and_in_a_test():
    lessons = "".join(p.read_text(encoding="utf-8") for p in ROOT.glob("notebooks/en/*.ipynb"))
    tests = "".join(
        p.read_text(encoding="utf-8") for p in ROOT.glob("tests/test_*.py") if p != Path(__file__)
    )
    for name in hdsep_tutorial.__all__:
        assert f"hd.{name}(" in lessons or f"hd.{name})" in lessons, f"no lesson uses {name}"
        assert re.search(rf"\b{name}\b", tests), f"no test uses {name}"


def test_the_command_line_offers_the_formats_that_there_are():
    from hdsep_tutorial import saving

    assert tuple(saving.FORMATS) == FORMATS


def test_the_project_speaks_of_itself_alone():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    foreign = re.compile(r"(/wo" + r"rk/|\.\./sha" + r"red|/ro" + r"ot/|pypi\.org/simple)")
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = ROOT / name
        if path.suffix in {".py", ".md", ".ipynb", ".toml", ".yml", ".txt", ".json", ""}:
            found = foreign.search(path.read_text(encoding="utf-8"))
            assert not found, f"{name}: {found and found.group()}"
