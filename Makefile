# Everything runs in .venv, test-interop in .venv-interop. .ci/environment creates and fills them when they are missing
# or out of date. make PYTHON=/path/to/python3.11 chooses the interpreter for it.

export PYTHON
RUN = .venv/bin/python

.PHONY: help demo test test-slow test-gpu test-interop test-page kill-test fuzz lint clean core dev interop page
.DEFAULT_GOAL = help

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1: /p' Makefile

demo: core  ## train a small model on drawn scenes and write demo/report.html
	$(RUN) tools/demo.py

# Budgets, on 2 quiet cores: test 10 minutes, test-slow 10, test-page 10, test-interop 5, all of .ci/run 55 with the environments.
# What needs a browser, a cluster, a database or root is never part of `make test`.

# Two workers of one thread each, whatever the machine. Tests of a file stay together: they share what is dear to make.
WORKERS = 2
SHARED = OMP_NUM_THREADS=1 $(RUN) -m pytest -q -n $(WORKERS) --dist loadfile
test: lint  ## lint, then the tests, in WORKERS=2 processes (budget: 10 minutes on 2 quiet cores)
	$(SHARED)

test-slow: dev  ## the tests that take minutes each (budget: 10 minutes)
	$(SHARED) -m slow || [ $$? -eq 5 ]

test-gpu: dev  ## what only cards can show, into gpu-report.json or GPU_REPORT=path (docs/gpu.md; budget: 10 minutes)
	$(RUN) -m tests.gpu

test-interop: interop  ## our models against those of other projects, in an environment of its own (budget: 5 minutes)
	.venv-interop/bin/python -m pytest -q -m interop

test-page: page  ## the server's page in a real browser, CHROMIUM=path or that on PATH (budget: 10 minutes)
	$(SHARED) -m page tests/page

N = 40
SEED = 0
kill-test: dev  ## end training, encode, shard, convert and index N times at any moment (N=40 SEED=0 MINUTES= TRIAL= JOB=)
	$(RUN) -m tests.kills --kills $(N) --seed $(SEED) $(MINUTES:%=--minutes %) $(TRIAL:%=--trial %) $(if $(JOB),--job "$(JOB)")

fuzz: dev  ## damaged files, configurations and commands for MINUTES=10 (SEED=0 KIND= CASE= EXAMPLE= KEEP=), each judged
	$(RUN) -m tests.fuzz --seed $(SEED) $(MINUTES:%=--minutes %) $(KIND:%=--kind %) $(CASE:%=--case %) \
	    $(EXAMPLE:%=--example %) $(KEEP:%=--keep %)

lint: dev  ## ruff, one hand style, and the import rule (budget: 1 minute)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check --quiet .
	$(RUN) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()' --no-logo

clean:  ## remove both environments, the demo and all caches
	rm -rf .venv .venv-interop demo build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find ernie_vil2 tools tests -name __pycache__ -prune -exec rm -rf {} +

core dev interop page:
	@sh .ci/environment $@
