# Needs Python >= 3.11 with venv and pip, and make. Everything else goes into .venv.
PYTHON ?= python3
PYTEST_ARGS ?=
DEMO := runs/demo

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip
BENCHMARKS := $(filter-out benchmarks/_% benchmarks/gpu.py,$(sort $(wildcard benchmarks/*.py)))

.DEFAULT_GOAL := help
.PHONY: help install demo test lint format types pytest test-gpu docs test-slow soak mutate bench bench-gpu wheel clean distclean

help: ## Show this help
	@echo "modeseek: mode seeking with diffusion priors"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "Variables: PYTHON=python3.13 (the Python that makes .venv), PYTEST_ARGS='-k schedule' (passed to pytest)."
	@echo "On Linux pip takes the CUDA build of torch by default; for the much smaller CPU build:"
	@echo "  PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make install"

# Two stamps: the demonstration needs the core packages and meshes only; developing it needs the dev extra too.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "modeseek needs Python >= 3.11, this one is " + sys.version.split()[0] + ": pass another one, for example make PYTHON=python3.13")'
	$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import pip, sys; sys.exit(int(pip.__version__.split(".")[0]) < 23)' || $(PIP) install --upgrade pip

$(VENV)/.core: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing modeseek and torch into $(VENV): about a minute, longer where the downloads are slow"
	$(PIP) install -q -c constraints.txt -e '.[mesh]'
	@touch $@

$(VENV)/.installed: $(VENV)/.core
	$(PIP) install -q -c constraints.txt -e '.[dev]'
	@touch $@

install: $(VENV)/.installed ## Make .venv and install modeseek with its development tools

demo: $(VENV)/.core ## Seek modes in 2-D, of handwritten digits, of text in images and in 3-D; figures in runs/
	$(BIN)/modeseek toy --problem fractal --prior ideal --side 12 --out $(DEMO)-fractal
	$(BIN)/modeseek toy --problem digits --prior learned --train-steps 800 --out $(DEMO)-digits
	$(BIN)/modeseek image "a red cone on a blue cube" --out $(DEMO)-image
	$(BIN)/modeseek image "an owl" "a red apple" "a grinning face" --prior emoji --steps 60 --out $(DEMO)-emoji
	$(BIN)/modeseek shape "a red cone on a blue cube" --prior renders --steps 150 --out $(DEMO)-shape
	@echo
	@echo "Open in a browser:"
	@for run in fractal digits image emoji shape; do ls -t $(DEMO)-$$run*/report.html | head -n 1 | sed 's/^/  /'; done

test: lint ## Run the linters, the type checker and the quick tests
	@$(MAKE) --no-print-directory -j 2 types pytest  # the type checker has one thread: the tests begin beside it

lint: $(VENV)/.installed ## Check style and formatting with ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.installed ## Fix and format with ruff what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.installed ## Check types with basedpyright
	$(BIN)/basedpyright

# Bytecode is written: the programs that tests start would compile modeseek, each anew.
pytest test-slow: export PYTHONDONTWRITEBYTECODE :=

# One thread per worker: two workers that each spread over all cores slow each other down. A file stays with one worker,
# so that what its tests share is made once.
RUN_TESTS = OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -n 2 --dist loadfile

pytest: $(VENV)/.installed ## Run the quick tests alone
	$(RUN_TESTS) -m 'not slow' $(PYTEST_ARGS)

test-slow: $(VENV)/.installed ## Run the slow tests: whole experiments, killed processes, browsers
	$(RUN_TESTS) -m slow $(PYTEST_ARGS)

$(VENV)/.docs: $(VENV)/.installed
	$(PIP) install -q -c constraints.txt -e '.[docs]'
	@touch $@

docs: $(VENV)/.docs ## Build the pages into build/docs; code in them runs, warnings are errors
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs

# MODESEEK_SOAK=1 turns the short forms of these tests into the long ones.
SOAKED := $(addprefix tests/,$(addprefix runs/test_,killed.py) $(addprefix config/test_,config.py yaml.py) sweeps/test_ray_workers.py \
          $(addprefix rundir/test_,checkpoint.py checkpoint_damage.py state_serialization.py run_damage.py))
soak: $(VENV)/.installed ## Kill runs at every write and at 100 random moments; 2,000 damaged files
	MODESEEK_SOAK=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -s $(SOAKED)

# On the GPU of this machine; MODESEEK_TEST_DEVICE=cpu runs the same tests on the CPU.
test-gpu: $(VENV)/.installed ## Test every prior, method, generator and resume on a GPU against the CPU's numbers
	MODESEEK_TEST_DEVICE=$${MODESEEK_TEST_DEVICE:-cuda} OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest tests/gpu $(PYTEST_ARGS)

mutate: $(VENV)/.installed ## Plant one-line faults in the library; the test suite must notice each
	$(BIN)/python tests/mutation/mutate.py

bench: $(VENV)/.installed ## Run every benchmark; results in benchmarks/results/
	@for script in $(BENCHMARKS); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

bench-gpu: $(VENV)/.installed ## Measure a GPU in under 8 minutes; BENCH_ARGS='--quick --device cpu' tries it without one
	$(BIN)/python benchmarks/gpu.py $(BENCH_ARGS)

wheel: $(BIN)/pip ## Build the wheel, list what is in it, install it in a clean environment and draw with both priors
	rm -rf build/wheel dist/modeseek-*.whl
	$(PIP) wheel -q --no-deps -w dist .
	$(BIN)/python -m zipfile -l dist/modeseek-*.whl
	$(PYTHON) -m venv build/wheel
	build/wheel/bin/python -m pip install -q -c constraints.txt dist/modeseek-*.whl
	cd build/wheel && bin/python ../../tools/check_wheel.py ../../dist/modeseek-*.whl
	build/wheel/bin/modeseek --help > /dev/null

clean: ## Remove caches and built files; keep .venv and runs/
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## Remove .venv too
	rm -rf $(VENV)
