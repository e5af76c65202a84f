.DEFAULT_GOAL := help
.PHONY: help run test test-full lint verify format messages
PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest -n auto $(ARGS)

# Not with an empty value: the environment wins over .env, which may set BIND.
ifdef PORT
export BIND ?= 127.0.0.1:$(PORT)
endif

# Where it is set, each process of the tests would compile the tests for itself.
export PYTHONDONTWRITEBYTECODE :=

help: ## List the targets
	@awk -F ': .*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

run: .venv/run ## Set up and serve on 127.0.0.1:8000; PORT=… or BIND=… to change it
	@$(PYTHON) -m tradebot.dotenv HTTPS_ONLY=false
	@$(PYTHON) manage.py migrate --no-input --verbosity 0
	@$(PYTHON) manage.py create_first_admin || true # it says what to do; serve all the same
	@PATH="$(CURDIR)/.venv/bin:$$PATH" LOG_FORMAT="$${LOG_FORMAT:-plain}" \
		exec tradebot/entrypoint.sh

test: .venv/test ## Run the tests on SQLite and on PostgreSQL; ARGS="-k …" to choose
	DATABASE_URL= $(PYTEST)
	$(PYTHON) -m tests.with_postgres --no-sync $(PYTEST)

test-full: ## All tests, those that take long too; a skipped test is a failure
	@$(MAKE) test ARGS="--long --fail-on-skip $(ARGS)"

lint: .venv/test ## Check style and types, then the migrations as verify does
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy .
	@$(MAKE) verify

verify: .venv/test ## Check that the migrations can be applied, undone, resumed, scripted
	DJANGO_SETTINGS_MODULE=tests.settings \
		$(PYTHON) -m tests.with_postgres --no-sync $(PYTHON) manage.py verify

messages: .venv/test ## Bring the Turkish catalogue up to date with the code
	$(PYTHON) -m tests.messages

format: .venv/test ## Bring the code into shape
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

.venv/run: requirements.txt | $(PYTHON)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.venv/test: tests/requirements.txt requirements.txt trading/engine/requirements.txt | $(PYTHON)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# By what it says itself: python3.11 may be a shim without a version behind it. A half
# made environment would pass for a whole one the next time.
$(PYTHON):
	@for python in python3.11 python3; do \
		$$python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
			2>/dev/null || continue; \
		$$python -m venv --clear .venv || { rm -rf .venv; exit 1; }; \
		exit 0; \
	done; \
	echo 'TradeBot needs Python 3.11: neither python3.11 nor python3 is one.' >&2; exit 1
