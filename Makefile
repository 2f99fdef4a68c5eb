# What a contributor, and whoever wants a first look, needs: GNU make, Python 3.11 or newer, and
# a package registry. Everything is installed into .venv, by the first target that needs it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 5222
TLS_PORT ?= 5223
WEB_PORT ?=
ARGS ?=
BENCH ?= registrations
SERVERS ?= bookworm trixie sid
# Which versions of what is installed: what pip chooses, or lowest-direct, or highest.
RESOLUTION ?=
# Several tests at once: tests/conftest.py says how many. Tests of one file run one by one, as they
# would hardly be done sooner, and so that a debugger can be used.
PARALLEL ?= $(if $(findstring .py,$(ARGS)),,-n auto)

# Only what goes wrong is shown.
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
# In this mode the plugin for twistd is found where it lies.
EDITABLE := --config-settings editable_mode=compat --editable
# pip installs no version but the newest that fits.
UV = $(PIP) install uv && $(BIN)/uv pip install --quiet --python $(BIN)/python \
	--upgrade --resolution $(RESOLUTION)
INSTALL = $(if $(RESOLUTION),$(UV),$(PIP) install) $(EDITABLE)

SPHINX = $(BIN)/python -m sphinx -q -c docs -d build/doctrees

.DEFAULT_GOAL := help
.PHONY: help demo test test-lowest test-newest test-servers test-suites coverage lint types docs \
	doc-links messages screenshots bench bench-sessions release clean

help:
	@echo 'make demo    try it: a domain on this computer, and an invite to it'
	@echo '             (PORT=15222 TLS_PORT=15223 WEB_PORT=8080 for other ports,'
	@echo '              ARGS=--open and the like)'
	@echo 'make test    all tests, several at once (ARGS="-k invites" for some, PARALLEL= for one by'
	@echo "             one; ARGS=\"-m 'not slow and not peers'\" takes two minutes)"
	@echo 'make test-lowest  the same with the oldest versions that setup.cfg allows'
	@echo 'make test-newest  the same with the newest that there are'
	@echo 'make test-servers  those with the servers of Debian 12, 13 and the next one, each in a'
	@echo '             root of its own (as root; SERVERS="trixie" for some)'
	@echo 'make test-suites  what other projects test servers, pages and clients with'
	@echo 'make lint    ruff: format and rules'
	@echo 'make types   mypy'
	@echo 'make coverage  all tests, and in build/coverage which lines they run'
	@echo 'make docs    the documentation as a site in build/docs; a link that leads nowhere fails'
	@echo 'make doc-links  whether the links to other sites still lead somewhere'
	@echo 'make messages  bring the catalogues of translations up to date with the code'
	@echo 'make screenshots  take the pictures of the manual anew (with Chromium and pngquant)'
	@echo 'make bench   how many registrations a second (ARGS="--registrations 500")'
	@echo "             (BENCH=commands: how fast commands answer; ARGS=\"--pending 1000000\")"
	@echo '             (BENCH=gateway: what the gateway costs, with Prosody and HAProxy)'
	@echo '             (BENCH=attack: what one address can do to newcomers, door by door)'
	@echo '             (BENCH=soak: whether it stays small; ARGS="--minutes 30")'
	@echo 'make bench-sessions   presence and messages a second (ARGS="--accounts 200")'
	@echo 'make release  source and wheel in dist/, looked at by twine, and the tag'
	@echo 'make clean   remove .venv and everything else that was made'
	@echo 'PYTHON=python3.12 chooses another Python.'

demo: $(VENV)/.demo
	@$(BIN)/invitereg demo --port $(PORT) --tls-port $(TLS_PORT) \
		$(if $(WEB_PORT),--web-port $(WEB_PORT)) $(ARGS)

test: $(VENV)/.work
	@$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

test-lowest:
	@$(MAKE) --no-print-directory test VENV=build/lowest RESOLUTION=lowest-direct

# It is asked each time whether there are newer ones.
test-newest:
	@rm -f build/newest/.work
	@$(MAKE) --no-print-directory test VENV=build/newest RESOLUTION=highest

coverage: $(VENV)/.work
	@$(BIN)/python -m pytest $(PARALLEL) --cov --cov-report=term:skip-covered \
		--cov-report=html $(ARGS)

test-servers: $(VENV)/.work build/nbxmpp
	@tests/peers/roots $(SERVERS)
	@INVITEREG_REQUIRE_PEERS=1 INVITEREG_SERVERS="$(SERVERS)" \
		$(BIN)/python -m pytest tests/peers/matrix $(ARGS)

test-suites: $(VENV)/.work build/nbxmpp
	@$(INSTALL) '.[suites]'
	@tests/suites/install build/suites
	@$(BIN)/python -m pytest tests/suites/suite_*.py $(ARGS)

# Gajim's library, for Debian's own Python, whose GLib it uses: no environment has that.
build/nbxmpp: | $(VENV)/.work
	@$(PIP) install --no-deps --target $@ nbxmpp precis-i18n packaging idna

lint: $(VENV)/.work
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check --output-format concise .

types: $(VENV)/.work
	@$(BIN)/mypy

docs: $(VENV)/.docs
	@$(SPHINX) -W --keep-going -b html . build/docs
	@echo 'build/docs/index.html'

doc-links: $(VENV)/.docs
	@$(SPHINX) -b linkcheck . build/doc-links

messages: $(VENV)/.work
	@mkdir -p build
	@$(BIN)/pybabel -q extract -F babel.cfg -k N_ --no-location --sort-output \
		--project invitereg --msgid-bugs-address 'the authors of invitereg' \
		--output-file build/invitereg.pot .
	@$(BIN)/pybabel -q update -D invitereg -d invitereg/locale -i build/invitereg.pot \
		--no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date

screenshots: $(VENV)/.work
	@INVITEREG_REQUIRE_PEERS=1 $(BIN)/python -m tests.peers.screenshots

bench: $(VENV)/.work
	@$(BIN)/python bench/$(BENCH).py $(ARGS)

bench-sessions: $(VENV)/.work
	@$(BIN)/python bench/sessions.py $(ARGS)

# Nothing is published: what is left to do is printed.
release: $(VENV)/.release
	@.ci/release $(BIN)/python

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name .git -prune -o \( -name __pycache__ -o -name dropin.cache \
		-o -name '_trial_temp*' \) -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'invitereg needs Python 3.11 or newer. $(PYTHON) is:' \
			"$$($(PYTHON) --version 2>&1)." 'Choose another: make PYTHON=python3.12 …' >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo '$(PYTHON) can make no virtual environment: it has no venv or no ensurepip.' \
			'On Debian and Ubuntu: apt install python3-venv' >&2; \
		exit 1; }
	@echo 'Making $(VENV) …'
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }

# What it takes to run, and on top of it what it takes to work on it.
$(VENV)/.demo: setup.cfg pyproject.toml | $(BIN)/python
	@echo 'Installing what invitereg needs (takes a minute the first time) …'
	@$(INSTALL) .
	@touch $@

$(VENV)/.work: setup.cfg pyproject.toml | $(BIN)/python
	@echo 'Installing what invitereg and its tests need (takes a minute the first time) …'
	@$(INSTALL) '.[test,lint]'
	@touch $@ $(VENV)/.demo

$(VENV)/.docs: setup.cfg pyproject.toml | $(BIN)/python
	@echo 'Installing what the site is made with …'
	@$(INSTALL) '.[docs]'
	@touch $@

$(VENV)/.release: setup.cfg pyproject.toml | $(BIN)/python
	@echo 'Installing what a release is made with …'
	@$(INSTALL) '.[release]'
	@touch $@
