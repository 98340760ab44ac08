# Each target sets itself up in .venv on first use; `make help` lists them.
PYTHON ?= python3
LESSONS ?= en
VENV := .venv
BIN := $(VENV)/bin
CELL_TIMEOUT_S := 300
# Spelled out: a bare --cov leaves nbval waiting for its kernels.
COVERAGE := --cov=hdsep_tutorial --cov-config=pyproject.toml

# Two workers with one thread each: threads that outnumber the cores wait for one another.
test test-fast notebooks book: export OMP_NUM_THREADS = 1

.DEFAULT_GOAL := help
.PHONY: help demo lab test test-fast lint notebooks bench book stick blank solutions train doctor clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

demo: $(VENV)/installed  ## separate the shipped song; stems, pictures and scores in out/demo
	@$(BIN)/python -m hdsep_tutorial demo

lab: $(VENV)/installed  ## open JupyterLab on the first lesson (Chinese: make lab LESSONS=zh)
	$(BIN)/jupyter lab notebooks/$(LESSONS)/00_start_here.ipynb \
		--LabApp.app_settings_dir=$(CURDIR)/notebooks/lab_settings \
		--LabApp.extension_manager=readonly \
		--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate \
		--FileContentsManager.pre_save_hook=hdsep_tutorial.export.strip_on_save

test: lint  ## lint, unit tests, then all notebooks with their printed numbers compared
	$(BIN)/pytest -n 2 --dist loadfile $(COVERAGE) --cov-report=
	$(BIN)/pytest -n 2 --dist loadfile $(COVERAGE) --cov-append --cov-report=term \
		--nbval --nbval-current-env --nbval-sanitize-with tests/sanitize.cfg \
		--nbval-cell-timeout $(CELL_TIMEOUT_S) notebooks

test-fast: $(VENV)/installed-test  ## unit tests without the slow ones, a minute and a half
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow"

lint: $(VENV)/installed-test  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

notebooks: $(VENV)/installed-test  ## run all lessons again and store their clean outputs
	$(BIN)/python notebooks/execute.py

bench: $(VENV)/installed  ## measure what the README says (half an hour)
	$(BIN)/python benchmarks/spectrogram.py --pictures 5
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/memory.py --forecast
	$(BIN)/python benchmarks/explorers.py
	$(BIN)/python benchmarks/separation.py
	$(BIN)/python benchmarks/separation.py --song
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/course.py

book: $(VENV)/installed-book  ## build the book in both languages: out/book/index.html
	$(BIN)/python book/bind.py

stick: $(VENV)/installed  ## gather everything for a room without a network: out/stick
	$(BIN)/python book/stick.py

blank: $(VENV)/installed  ## copy the lessons without solutions and outputs, for learners
	$(BIN)/python notebooks/copies.py blank

solutions: $(VENV)/installed  ## copy the lessons with every exercise solved, for teachers
	$(BIN)/python notebooks/copies.py solutions

train: $(VENV)/installed  ## train the demo model anew: days on two cores; stop and go on at any time
	$(BIN)/python -m hdsep_tutorial.training songs out/training
	$(BIN)/python -m hdsep_tutorial.training train out/training --processes 2

doctor: $(VENV)/installed  ## print versions, device and memory, and test the installation
	@$(BIN)/python -m hdsep_tutorial doctor

clean:  ## remove the environment and everything that was made
	rm -rf $(VENV) out notebooks/*/out

$(VENV)/installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"Python 3.11 or newer is needed, this is %d.%d: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/installed-book: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[book]"
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test,book]"
	@touch $@
