# make demo | finetune-demo | accuracy-table | test | test-extras | verdicts | fuzz | faults | notebooks | docs | pictures | zoo | bench |
# clean. Needs
# python3 (3.11 or newer) with venv; installs into .venv only.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
# The pinned versions, also of what builds the package (pip names that option in two ways).
PINNED := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt
INSTALL := $(PINNED) $(BIN)/python -m pip install --quiet --disable-pip-version-check
TORCH := torch==2.13.0

# One process of tests per core, up to eight; WORKERS=0 runs all in one. A file's tests stay together, for its fixtures. Files come in the
# order of their names: by number of tests, the longest single tests would come last, and one core would wait for the other.
WORKERS ?= auto
PARALLEL_PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder

# These run three times: as plain Python (on smaller inputs, see tests/conftest.py), with every index checked, and as users run them.
KERNEL_TESTS := tests/kernels

.PHONY: demo finetune-demo accuracy-table test test-extras verdicts fuzz faults notebooks docs pictures zoo chromium lint bench clean
.DELETE_ON_ERROR:

demo: $(STAMPS)/base
	$(BIN)/python -m accelsim demo -o out/demo

# A float ViT on scikit-learn's digits to VQ and SSVQ traces: accuracy, latency, area. A second call continues from its checkpoints.
finetune-demo: $(STAMPS)/torch
	$(BIN)/python -m notebooks.examples finetune_demo out/finetune_demo

# The runs that docs/data/accuracy.csv lacks, and their page. It continues where it stopped.
accuracy-table: export OPENBLAS_NUM_THREADS := 1
accuracy-table: $(STAMPS)/torch
	$(BIN)/python -m notebooks.examples accuracy_table
	$(BIN)/python -m notebooks.examples accuracy_cost
	$(BIN)/python -m notebooks.examples accuracy_front
	$(BIN)/python -m notebooks.examples accuracy_page

# Each process of tests has a core of its own, so its matrix products take one thread. Kernels are compiled by one process: that with
# checked indices, and a run before all the others.
test: export OPENBLAS_NUM_THREADS := 1
test: lint
	NUMBA_DISABLE_JIT=1 $(PARALLEL_PYTEST) $(KERNEL_TESTS)
	NUMBA_BOUNDSCHECK=1 $(BIN)/python -m pytest $(KERNEL_TESTS)
	$(BIN)/python -m accelsim run edge-32x32 tiny_vit_ssvq --functional --quiet
	$(PARALLEL_PYTEST) -m "not torch and not browser and not notebook and not wheel" --benchmark-disable

lint: $(STAMPS)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-extras: $(STAMPS)/torch chromium notebooks
	$(BIN)/python -m pytest -m "torch or browser or wheel"

# The verdict against 1,000 random pairs of chip and network; `make test` takes 100.
verdicts: $(STAMPS)/dev
	VERDICT_PAIRS=1000 $(BIN)/python -m pytest tests/test_verdict.py

# N mutated inputs for every reader, by two processes; the table goes to docs/fuzzing.md, findings to out/fuzz. What was cut off goes on
# with RESUME=1.
N ?= 100000
RESUME ?=
fuzz: export OPENBLAS_NUM_THREADS := 1
fuzz: $(STAMPS)/dev
	$(BIN)/python -m tests.fuzz.survey --count $(N) --jobs 2 $(if $(RESUME),--resume) --page docs/fuzzing.md

# Every command that writes, struck TRIES times by every fault; the table goes to docs/faults.md.
TRIES ?= 20
faults: export OPENBLAS_NUM_THREADS := 1
faults: $(STAMPS)/dev
	$(BIN)/python -m tests.faults.table --tries $(TRIES) --page docs/faults.md

notebooks: $(STAMPS)/torch
	$(BIN)/python -m pytest tests/notebooks -m notebook

# Debian's browser, for the test that opens a report.
chromium:
	command -v chromium >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; }

# The reference: the pages of the command line, of the fields and of the Python names are committed (tests hold them to the code), the
# pages with whole docstrings are not.
docs: $(STAMPS)/dev
	$(BIN)/python -m typer accelsim.cli utils docs --name accelsim --output docs/reference/cli.md
	$(BIN)/python -m accelsim.reference.page docs/reference/fields.md
	$(BIN)/python -m tests.python_page
	$(BIN)/pdoc --docformat numpy --no-show-source --output-directory out/docs accelsim '!accelsim.'

# The pictures of many designs in docs/images: those of the front page, the tutorial and docs/formats.md; about eight CPU minutes the first time.
pictures: $(STAMPS)/dev
	$(BIN)/python -m tests.sweep_pictures

# Every network of tests/zoo: the small ones with their values, into docs/importers.md, and the published ones.
zoo: $(STAMPS)/torch
	$(BIN)/python -m tests.zoo.survey --page docs/importers.md
	$(BIN)/python -m tests.zoo.survey --published

bench: $(STAMPS)/dev
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only

clean:
	rm -rf $(VENV) out build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks .import_linter_cache
	find accelsim tests -name __pycache__ -type d -exec rm -rf {} +

# A stamp is as old as its install; a change of what is to be installed makes it stale.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(STAMPS)/base: $(BIN)/python pyproject.toml constraints.txt
	mkdir -p $(STAMPS)
	$(INSTALL) -e .
	touch $@

$(STAMPS)/dev: $(STAMPS)/base
	$(INSTALL) -e '.[dev]'
	touch $@

# torch first and alone: what depends on it then finds it there.
$(STAMPS)/torch: $(STAMPS)/dev
	$(INSTALL) '$(TORCH)'
	$(INSTALL) -e '.[torch,notebooks]'
	touch $@
