"""A real Chromium for the tests of this folder, which are skipped where there is none."""

import os

import pytest
from laboratory import ARGUMENTS, INSTALL, Watch, find_chromium
from laboratory import lab as running_lab


def _missing(what):
    """Skip, or fail where a browser is required, with the command that helps."""
    advice = f"{what}: run `pip install playwright` and `{INSTALL}`"
    if os.environ.get("HDSEP_BROWSER") == "required":
        pytest.fail(advice)
    pytest.skip(advice)


@pytest.fixture(scope="session")
def browser():
    """Return one Chromium for all tests."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright is not installed")
    with sync_playwright() as playwright:
        path = find_chromium(playwright)
        if path is None:
            _missing("there is no Chromium")
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def page(browser, watch):
    """Return a page without a network, which may not ask for one nor complain."""
    context = browser.new_context(viewport={"width": 1000, "height": 700}, offline=True)
    page = context.new_page()
    watch.follow(page)
    yield page
    context.close()
    watch.check()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Return a JupyterLab on an empty folder."""
    with running_lab(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture
def lab_page(browser, lab):
    """Return a page for JupyterLab, which may talk to its server and nobody else."""
    context = browser.new_context(viewport={"width": 1300, "height": 1600})
    page, watch = context.new_page(), Watch(lab.allowed)
    watch.follow(page)
    yield page
    context.close()
    watch.check()
