"""JupyterLab and Chromium as a learner uses them: an own server, and a page that watches."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
INSTALL = "python -m playwright install --with-deps chromium"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--mute-audio"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
# JupyterLab says so of its own messages to a kernel when a page closes or reloads.
LAB_GOODBYE = "Canceled future for"
LOCAL = ("file:", "data:", "blob:", "about:")
# Lab says idle before its kernel listens; what is run then is lost, and is run again.
LOST_AFTER_S = 15
DIALOG = "dialog.jp-Dialog:visible"
KERNEL = "Python 3 (ipykernel)"
LISTENING = """() => {
  const kernel = window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel;
  return kernel?.connectionStatus === "connected" && kernel.status === "idle";
}"""
PROGRESS = """() => {
  const prompts = [...document.querySelectorAll(".jp-NotebookPanel .jp-CodeCell .jp-InputPrompt")]
    .map((prompt) => prompt.textContent.trim());
  const fault = document.querySelector('[data-mime-type="application/vnd.jupyter.error"]');
  return {
    done: prompts.filter((text) => /^\\[\\d+\\]:?$/.test(text)).length,
    busy: prompts.filter((text) => text.includes("*")).length,
    fault: fault && fault.textContent.slice(0, 2000),
  };
}"""


def find_chromium(playwright):
    """Return the path of a Chromium of the system, or of Playwright's cache, or None."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    cached = playwright.chromium.executable_path
    return found or (cached if Path(cached).exists() else None)


@dataclass
class Watch:
    """What a page should not do: fail, complain, or ask the network for anything."""

    allowed: tuple[str, ...] = LOCAL
    faults: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def follow(self, page):
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", self._request)
        page.on("websocket", self._request)

    def _console(self, message):
        if message.type == "error" and LAB_GOODBYE not in message.text:
            self.faults.append(message.text)

    def _request(self, request):
        if not request.url.startswith(self.allowed):
            self.requests.append(request.url)

    def check(self):
        assert not self.requests, f"asked the network for {self.requests}"
        assert not self.faults, f"said on the console: {self.faults}"


@dataclass
class Lab:
    """A running JupyterLab."""

    url: str
    token: str
    folder: Path

    @property
    def allowed(self):
        return (*LOCAL, self.url, self.url.replace("http", "ws"))

    def open(self, page, notebook):
        """Open a notebook of the folder in a fresh workspace, and wait for its kernel."""
        # A busy server makes Lab ask for the kernel at any moment, above whatever is to be clicked.
        handle = {"handler": lambda: _answer_dialogs(page), "no_wait_after": True}
        page.add_locator_handler(page.locator(DIALOG), **handle)
        page.goto(f"{self.url}/lab/tree/{notebook}?token={self.token}&reset")
        page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=90_000)
        wait_for_kernel(page)


@contextmanager
def lab(folder):
    """Start JupyterLab in `folder`, with the settings of `make lab`, and stop it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    private = folder / ".jupyter"
    places = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    environment = os.environ | {f"JUPYTER_{place}": str(private / place) for place in places}
    environment |= {
        f"JUPYTERLAB_{place}": str(private / place) for place in ("SETTINGS_DIR", "WORKSPACES_DIR")
    }
    environment |= {"IPYTHONDIR": str(private / "ipython"), "OMP_NUM_THREADS": "1"}
    token = secrets.token_hex(8)
    options = {
        "IdentityProvider.token": token,
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.root_dir": folder,
        "LabApp.app_settings_dir": ROOT / "notebooks" / "lab_settings",
        "LabApp.expose_app_in_browser": True,  # so that a test can ask whether a kernel listens
        "LabApp.extension_manager": "readonly",
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "FileContentsManager.pre_save_hook": "hdsep_tutorial.export.strip_on_save",
    }
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root"]
    command += [f"--{name}={value}" for name, value in options.items()]
    private.mkdir(parents=True)
    with open(private / "lab.log", "w", encoding="utf-8") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    running = Lab(f"http://127.0.0.1:{port}", token, folder)
    try:
        _wait_for_server(server, running, private / "lab.log")
        yield running
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def _wait_for_server(server, running, log):
    end = time.monotonic() + 120
    while server.poll() is None and time.monotonic() < end:
        try:
            address = f"{running.url}/api/status?token={running.token}"
            return urllib.request.urlopen(address, timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start: {log.read_text(encoding='utf-8')[-2000:]}")


def wait_for_kernel(page):
    """Wait until the notebook's kernel listens; take the one that Lab proposes where it asks.

    What the page shows is not enough: it says idle before there is a kernel, and then answers
    "run" by asking for one, in whose place another is already starting.
    """
    end = time.monotonic() + 120
    while not page.evaluate(LISTENING):
        assert time.monotonic() < end, "no kernel listened within 120 s"
        _answer_dialogs(page)
        page.wait_for_timeout(200)


def _answer_dialogs(page):
    for dialog in page.locator(DIALOG).all():
        print("JupyterLab asked:", dialog.text_content()[:500])  # shown where a test fails
        choice = dialog.locator("select")
        if choice.count():  # it proposes no kernel while the list of kernels is on its way
            choice.select_option(label=KERNEL)
        dialog.locator("button.jp-mod-accept").click()


def run_lesson(page, cells=None, timeout_s=300):
    """Run the open notebook from top to bottom; fail with the traceback where a cell fails.

    Args:
        page: with a notebook of JupyterLab in front.
        cells: how many code cells it has; None counts them.
        timeout_s: for all of it.

    Returns:
        How often the request to run was lost and repeated.
    """
    count = "() => document.querySelectorAll('.jp-NotebookPanel .jp-CodeCell').length"
    cells = cells or page.evaluate(count)
    end, lost = time.monotonic() + timeout_s, -1
    while time.monotonic() < end:
        lost += 1
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.locator('.lm-Menu-item[data-command="runmenu:run-all"]').first.click()
        quiet = time.monotonic() + LOST_AFTER_S
        while time.monotonic() < min(end, quiet):
            state = page.evaluate(PROGRESS)
            assert not state["fault"], f"a cell failed: {state['fault']}"
            if state["done"] >= cells and not state["busy"]:
                return lost
            if state["busy"]:
                quiet = time.monotonic() + LOST_AFTER_S
            page.wait_for_timeout(100)
    raise AssertionError(f"the cells did not finish in {timeout_s} s: {page.evaluate(PROGRESS)}")
