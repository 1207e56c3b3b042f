# Everything there is to run. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.ONESHELL:

CARGO_FLAGS ?=
CARGO_TEST := cargo test --workspace $(CARGO_FLAGS) --no-fail-fast
FILTER := target/sealwax_filter.wasm
# Whose integration tests need more than the compiler: each is a tier of its own.
WITH_PARTS := sealwax-filter-tests sealwax-testkit sealwax-e2e

# A test's error says where it came from; the stack of every cause says nothing more.
export RUST_LIB_BACKTRACE := 0
export PATH := $(CURDIR)/.tools/bin:$(PATH)

.PHONY: help demo test bench fuzz advisories setup build filter fmt fmt-check lint doc \
	test-unit test-wasm test-parts test-e2e test-demo

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup filter ## A never-seen domain gets its certificate in its first handshake; stays until Ctrl-C
	@cargo build $(CARGO_FLAGS) -p sealwax -p sealwax-demo
	@exec target/debug/sealwax-demo

test: setup fmt-check lint doc filter build test-unit test-wasm test-parts test-e2e test-demo ## Every check and every test tier

bench: setup filter ## Measure; writes target/bench/report.md and report.json; ONLY=filter for one group
	@tests/setup/run wrk
	cargo build --release $(CARGO_FLAGS) -p sealwax -p sealwax-bench -p sealwax-filter-tests -p sealwax-dynamodb
	built=$$(realpath "$${CARGO_TARGET_DIR:-target}/release")
	SEALWAX_BIN=$$built/sealwax "$$built/sealwax-bench" $(if $(ONLY),--only $(ONLY))

fuzz: ## Run every fuzz target for SECONDS=60 each
	@tests/setup/run fuzz
	@tests/setup/fuzz-all $(or $(SECONDS),60)

advisories: ## Ask the RustSec database about what is built in (needs cargo-deny and a network)
	cargo deny --all-features check advisories bans licenses sources

setup: ## Install what is missing, into .tools where possible
	@tests/setup/run

build: ## Build every program and test, once for all tiers
	@echo "== build"
	cargo build --workspace --all-targets $(CARGO_FLAGS)

filter: ## Build the filter to target/sealwax_filter.wasm
	@echo "== filter"
	. .tools/rust.env
	env "$${wasm_env[@]}" cargo build $(CARGO_FLAGS) --profile wasm --target wasm32-unknown-unknown \
		--target-dir target/wasm -p sealwax-filter "$${wasm_flags[@]}"
	# With the features of the whole workspace, as every other build has them.
	cargo build $(CARGO_FLAGS) --workspace --bin sealwax-pack
	"$${CARGO_TARGET_DIR:-target}/debug/sealwax-pack" \
		target/wasm/wasm32-unknown-unknown/wasm/sealwax_filter.wasm $(FILTER)

fmt: ## Format the code
	@. .tools/rust.env
	"$${fmt[@]}" --all

fmt-check: ## Check the formatting
	@echo "== fmt"
	. .tools/rust.env
	"$${fmt[@]}" --all --check

lint: ## Check the code with clippy; every warning is an error
	@echo "== lint"
	. .tools/rust.env
	"$${clippy[@]}" --workspace --all-targets $(CARGO_FLAGS) -- -D warnings

doc: ## Build the documentation; every warning is an error
	@echo "== doc"
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps $(CARGO_FLAGS)

test-unit: ## Unit, property, protocol and contract tests
	@echo "== unit tests"
	$(CARGO_TEST) --lib --bins $$(tests/setup/test-targets except $(WITH_PARTS))
	$(CARGO_TEST) --doc

test-wasm: ## The built filter under the wasm host
	@echo "== wasm tests"
	$(CARGO_TEST) $$(tests/setup/test-targets only sealwax-filter-tests)

test-parts: ## The test kit against the real Envoy and Pebble
	@echo "== parts tests"
	$(CARGO_TEST) $$(tests/setup/test-targets only sealwax-testkit)

test-e2e: ## User stories on real Envoy, Pebble and control plane
	@echo "== end-to-end tests"
	$(CARGO_TEST) $$(tests/setup/test-targets only sealwax-e2e)

test-demo: ## The demo once, with the programs that `make build` left
	@echo "== demo"
	DEMO_ONCE=1 target/debug/sealwax-demo
