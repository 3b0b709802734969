# `make` prints this list.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := $(VENV)/.peers-installed

.PHONY: help demo serve test check format docs screenshots fast coverage postgres live bench bench-full bench-admin bench-scaling lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s $$'\t'

# the lock names everything, so nothing is left to resolve
$(STAMP): requirements.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing requirements.txt into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --no-compile --no-deps --disable-pip-version-check --requirement requirements.txt
	@touch $(STAMP)

$(PEERS): $(STAMP) benchmarks/requirements.txt
	@echo "installing benchmarks/requirements.txt into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement benchmarks/requirements.txt
	@touch $(PEERS)

demo: $(STAMP) ## replay the incident and its clean-up; ends by itself
	@$(BIN)/python -m project.demo

serve: $(STAMP) ## the same data in a gallery and the admin, on 127.0.0.1:8000
	@$(BIN)/python -m project.serve

test: $(STAMP) ## everything that CI runs
	@$(BIN)/python -m tests.everything

check: $(STAMP) ## format, lint, types, imports, migrations, docs
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python manage.py makemigrations --check --dry-run
	@$(BIN)/python -m pytest -q tests/docs

format: $(STAMP) ## let ruff put the code in order
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

docs: $(STAMP) ## write the parts of docs/ that are made from the code
	@DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python -m tests.docs.generated

screenshots: $(STAMP) ## take the pictures of the admin in docs/screenshots/ anew (needs Chromium)
	@$(BIN)/python -m tests.browser.screenshots

fast: $(STAMP) ## the tests that need no server, on SQLite
	@$(BIN)/python -m pytest -q tests/core tests/storage tests/django

coverage: $(STAMP) ## which lines and branches the tests on SQLite leave out
	@$(BIN)/python -m pytest -q --cov --cov-branch --cov-report=term:skip-covered tests/core tests/storage tests/django

postgres: $(STAMP) ## the Django tests on a real PostgreSQL
	@TEST_DATABASE=postgres $(BIN)/python -m pytest -q tests/django

live: $(STAMP) ## the whole job against real object stores (Ceph RGW, OpenStack Swift, rclone)
	@$(BIN)/python -m tests.live.story
	@$(BIN)/python -m tests.live.damage
	@$(BIN)/python -m tests.live.regions

bench: $(PEERS) ## imagesync and its peers on the same work, and workers that share an audit, in minutes
	@$(BIN)/python -m benchmarks.harness small
	@$(BIN)/python -m benchmarks.scaling

bench-full: $(PEERS) ## the same with a million and ten million records, in half an hour
	@$(BIN)/python -m benchmarks.harness full

bench-scaling: $(STAMP) ## one audit shared by 1, 2 and 4 workers of a cluster, in minutes
	@$(BIN)/python -m benchmarks.scaling

bench-admin: $(STAMP) ## every page of the admin on two million images, in minutes
	@$(BIN)/python -m benchmarks.admin

lock: ## compile requirements.txt from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 --quiet --upgrade -o requirements.txt

clean: ## remove what make made
	rm -rf $(VENV) var .coverage* htmlcov .pytest_cache test-results .mypy_cache .ruff_cache
