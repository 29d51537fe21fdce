# Everything runs from a fresh clone with Python 3.11 or newer and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: install demo test test-diffusion test-semantic-kernel screenshots lint bench bench-web bench-images bench-knowledge bench-scale docs lock clean help

help:
	@echo "make install  the waremill command in .venv"
	@echo "make demo     the main job on the example sheet, with the embedded model"
	@echo "make test     all tests, PostgreSQL included"
	@echo "make test-diffusion  the tests that need PyTorch, in an environment of their own"
	@echo "make test-semantic-kernel  the tests that need Semantic Kernel, in an environment of their own"
	@echo "make screenshots  the pictures of the console's how-to, made by its test in a browser"
	@echo "make lint     style, strict types, architecture"
	@echo "make bench    speed and memory beside other tools"
	@echo "make bench-web  listings, reviews and the server over a million products"
	@echo "make bench-images  picture operations beside rembg and plain libraries, and how right they are"
	@echo "make bench-knowledge  how often the right passage is found, and how fast"
	@echo "make bench-scale  PostgreSQL and Ray: import, memory, workers, what is killed; what traces cost"
	@echo "make docs     the reference pages, from the code"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Waremill needs Python 3.11 or newer: make install PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/build.txt requirements/run.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) install --quiet --require-hashes -r requirements/build.txt -r requirements/run.txt
	$(PIP) install --quiet --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(PIP) install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

install: $(VENV)/.run
	@echo "installed: $(BIN)/waremill"

demo: $(VENV)/.run
	@sh scripts/demo.sh $(BIN)/waremill

BROWSER = command -v chromium || command -v chromium-browser || command -v google-chrome
NO_BROWSER = "no Chromium here: the console is not tried in a browser. apt-get install chromium fonts-noto-cjk"

# Half of the time tests wait for servers, so there are more of them than processors. Servers start
# the faster for the bytecode of the ones before.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.dev
	@{ $(BROWSER); } >/dev/null || echo $(NO_BROWSER)
	$(BIN)/python -m pytest -n 3 --dist loadfile
	@{ $(BROWSER); } >/dev/null || echo $(NO_BROWSER)

# PyTorch in an environment of its own, 2.3 GB with the build for processors alone. On Linux x86-64
# the package index has none but the one with CUDA: 2.7 GB to fetch, unless a wheel lies nearer.
TORCH := .venv-diffusion
TORCH_PIP := $(TORCH)/bin/python -m pip --disable-pip-version-check
PINNED := requirements/build.txt requirements/run.txt requirements/dev.txt requirements/diffusion.txt

$(TORCH)/.installed: $(PINNED) pyproject.toml
	$(PYTHON) -m venv $(TORCH)
	$(TORCH_PIP) install --quiet --require-hashes -r requirements/build.txt -r requirements/run.txt
	$(TORCH_PIP) install --quiet --no-build-isolation --no-deps -e .
	$(TORCH_PIP) install --quiet --require-hashes -r requirements/dev.txt
	$(TORCH_PIP) install --quiet -r requirements/diffusion.txt
	@touch $@

test-diffusion: $(TORCH)/.installed
	$(TORCH)/bin/python -m pytest -m diffusion tests/providers

# Semantic Kernel in an environment of its own: it wants older versions of what is pinned here.
KERNEL := .venv-semantic-kernel
KERNEL_PIP := $(KERNEL)/bin/python -m pip --disable-pip-version-check
KERNEL_PINNED := requirements/build.txt requirements/run.txt requirements/dev.txt requirements/semantic-kernel.txt

$(KERNEL)/.installed: $(KERNEL_PINNED) pyproject.toml
	$(PYTHON) -m venv $(KERNEL)
	$(KERNEL_PIP) install --quiet --require-hashes -r requirements/build.txt -r requirements/run.txt
	$(KERNEL_PIP) install --quiet --no-build-isolation --no-deps -e .
	$(KERNEL_PIP) install --quiet --require-hashes -r requirements/dev.txt
	$(KERNEL_PIP) install --quiet -r requirements/semantic-kernel.txt
	@touch $@

test-semantic-kernel: $(KERNEL)/.installed
	$(KERNEL)/bin/python -m pytest tests/tools/test_semantic_kernel_tools.py

screenshots: $(VENV)/.dev
	@{ $(BROWSER); } >/dev/null || { echo $(NO_BROWSER); exit 1; }
	rm -rf artifacts/screenshots
	WAREMILL_SCREENSHOTS=artifacts/screenshots $(BIN)/python -m pytest -q tests/web/browser/test_story.py tests/web/browser/test_page_pictures.py tests/web/browser/test_page_knowledge.py
	$(BIN)/python scripts/pictures.py artifacts/screenshots docs/images

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/python -m bench.run

bench-web: $(VENV)/.dev
	$(BIN)/python -m bench.web

bench-images: $(VENV)/.dev
	$(BIN)/python -m bench.images

bench-knowledge: $(VENV)/.dev
	$(BIN)/python -m bench.knowledge
	$(BIN)/python -m bench.unanswerable --no-model

bench-scale: $(VENV)/.dev
	$(BIN)/python -m bench.scale
	$(BIN)/python -m bench.tracing

docs: $(VENV)/.dev
	$(BIN)/python scripts/reference.py

# Needs uv. Versions and hashes only: where packages come from is the machine's own business.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml --extra web --extra images --extra knowledge -c requirements/build.txt -o requirements/run.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml --extra web --extra images --extra knowledge --group dev -c requirements/run.txt -o requirements/dev.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml --extra web --extra images --extra knowledge --extra ray --extra s3 --extra telemetry -c requirements/dev.txt -o requirements/cluster.txt

clean:
	rm -rf $(VENV) $(TORCH) $(KERNEL) demo .bench
