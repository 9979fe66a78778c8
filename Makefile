# Two commands: `make demo` (the main job on the embedded data set) and `make test`.
PYTHON ?= python3
PORT ?= 5000
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt

.PHONY: demo test test-all ui site install clean

demo: $(VENV)/.installed
	$(BIN)/python -m bench experiment=demo
	$(BIN)/python -m bench experiment=tru_tables_small launch=local launch.jobs=2
	$(BIN)/python -m results leaderboard --out site/leaderboard.md
	$(BIN)/python -m results tru-tables --small --out site/tables.md
	$(BIN)/python -m results site
	@echo "site/index.html: everything on one page, opens in a browser without a server."
	@echo "site/leaderboard.md, site/tables.md: the leaderboard, and TRU's Tables 1 to 4 on the synthetic set."
	@echo "Next: make ui opens these runs in MLflow; docs/add-a-method.md shows how to add a method."

test: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto --dist worksteal

# The full product of methods, backbones and regimes where `make test` goes through all pairs.
test-all: $(VENV)/.installed-test
	LETHE_TEST_ALL=1 $(MAKE) test

ui: $(VENV)/.installed
	$(BIN)/python -m results ui --port $(PORT)

site: $(VENV)/.installed
	$(BIN)/python -m results site
	$(BIN)/python -m results figures

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) -e '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
