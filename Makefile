# The commands of the project. Each one sets up what it needs first; the work itself is in scripts/.
.DEFAULT_GOAL := help
.PHONY: help setup check test demo up package install bench fuzz fmt clean

# Where `make up` keeps its state.
DATA ?= .keyline

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## bring Node.js 26 (when the system's is older) and the npm packages
	@scripts/setup

check: setup ## format, lint, types, import boundaries, dead code, generated files
	@scripts/check

test: setup ## all tests; as root on Debian it installs the real parts they need (TESTS=path for some)
	@scripts/test $(TESTS)

demo: setup ## the whole job on real parts, step by step, in under two minutes
	@scripts/demo

up: setup ## issuing CA and broker in the foreground, state in DATA (default .keyline)
	@apps/cli/bin/keyline up --data "$(DATA)"

package: setup ## one npm package of everything: build/keyline-VERSION.tgz, for npm install -g
	@scripts/package

install: setup ## the commands for this machine, into PREFIX/bin (default /usr/local)
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" scripts/install

bench: setup ## measure; ONLY=id,id for some, QUICK=1 for a short run; writes build/bench.json
	@ONLY="$(ONLY)" QUICK="$(QUICK)" scripts/bench

fuzz: setup ## send everything wrong; FUZZ_SECONDS=600 for each target, ONLY=name,name, FUZZ_SEED and FUZZ_ROUND to repeat
	@ONLY="$(ONLY)" scripts/fuzz

fmt: setup ## format the sources and fix what the linter can
	@scripts/node node_modules/prettier/bin/prettier.cjs --log-level warn --write .
	@scripts/node node_modules/eslint/bin/eslint.js --fix .

clean: ## remove what set-up and tests made (never DATA)
	rm -rf build node_modules apps/*/node_modules libs/*/node_modules scripts/toolchain/node_modules
