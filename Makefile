# Each target sets itself up: it makes .venv and installs what it needs, once (.ci/setup.sh).
# PYTHON=python3.12 chooses the Python, ARGS="-k cli" goes to pytest, CLIPS="a b" to the benchmarks.

ifeq ($(OS),Windows_NT)
PY := .venv/Scripts/python.exe
else
PY := .venv/bin/python
endif

WINDOW := $(PY) .ci/window.py
# Processes that share the tests, each with a display of its own.
WORKERS ?= 2
export PYTHON
# Threads that spin while they wait make everything slow as soon as another program uses a core.
OMP_WAIT_POLICY ?= PASSIVE
export OMP_WAIT_POLICY

.PHONY: help demo test kernels gui lint slow fuzz audit licences bench quality screenshots setup-run setup-test setup-gui

help:
	@echo "make demo         boxes on a real clip become exported masks, without a window"
	@echo "make test         ruff, mypy and the whole test suite, the window tests in a real window"
	@echo "make gui          napari with the sample clip open and the plugin docked"
	@echo "make lint         ruff and mypy alone"
	@echo "make kernels      the GPU kernels alone, in Triton's interpreter"
	@echo "make slow         the tests that take minutes"
	@echo "make fuzz         every reader on 100,000 faulty files each; goes on where it was stopped"
	@echo "make audit        known faults of the dependencies, where the database can be reached"
	@echo "make bench        how fast it is, half an hour: make bench CLIPS=\"bear dog\""
	@echo "make quality      mask quality on clips with truth: make quality CLIPS=\"bear dog\""
	@echo "make screenshots  the pictures of the README"

demo: setup-run
	@$(PY) -m napari_maskfree.demo

test: lint kernels
	@OMP_NUM_THREADS=1 $(WINDOW) --displays $(WORKERS) $(PY) -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

kernels: setup-test
	@sh .ci/kernels.sh

lint: setup-test
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

slow: setup-test
	@OMP_NUM_THREADS=1 $(WINDOW) --displays $(WORKERS) $(PY) -m pytest -m slow -n $(WORKERS) \
		--maxschedchunk 1 -o faulthandler_timeout=3600 $(ARGS)

fuzz: setup-test
	@$(PY) tests/fuzz/fuzz.py $(ARGS)

audit: setup-test
	@$(PY) .ci/audit.py $(ARGS)

licences: setup-test
	@$(PY) .ci/licences.py

bench: setup-test
	@$(PY) training/benchmarks/bench.py $(if $(CLIPS),--clips $(CLIPS)) $(ARGS)

quality: setup-run
	@$(PY) training/benchmarks/quality.py $(CLIPS) $(ARGS)

gui: setup-gui
	@$(WINDOW) --shown $(PY) -m napari_maskfree

screenshots: setup-test
	@$(WINDOW) $(PY) docs/make_screenshots.py $(ARGS)

setup-run:
	@sh .ci/setup.sh

setup-test:
	@sh .ci/setup.sh test

setup-gui:
	@sh .ci/setup.sh all
