# `make demo` and `make test` need Python 3.11+ and nothing else. PYTHON=python3.12 chooses another.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= auto

.PHONY: demo test check conformance fidelity soak bench format clean

demo: .venv/installed
	$(BIN)/filmless demo

# Compiled once: where PYTHONDONTWRITEBYTECODE is set, each of the many processes would do it for itself.
test: .venv/installed-test
	$(BIN)/python -m compileall -q pacs storage viewer_api tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not soak"

check: .venv/installed-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed-check
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The tables of pacs/CONFORMANCE.md that come from the code.
conformance: .venv/installed-test
	$(BIN)/python -m tests.conformance --write

soak: .venv/installed-test
	$(BIN)/python -m pytest -m soak

# Stored values and pictures against other programs; DATA=folder for files of your own.
fidelity: .venv/installed-test
	$(BIN)/python -m tests.fidelity "$(or $(DATA),../shared/data)"
	FIDELITY_DATA="$(DATA)" $(BIN)/python -m pytest -n $(WORKERS) tests/fidelity

bench: .venv/installed-test
	$(BIN)/python -m tests.bench

clean:
	rm -rf .venv filmless-demo build dist

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Filmless needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.12 " if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

.venv/installed-test: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@ .venv/installed

.venv/installed-check: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,check]'
	touch $@ .venv/installed .venv/installed-test
