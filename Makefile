# Build, test and try out kube-prepull. `make` lists all targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

# Tools that are installed once per user and shared by all checkouts.
cache := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kube-prepull
deny := $(cache)/cargo-deny-0.20.2/bin/cargo-deny
cargo_fuzz := $(cache)/cargo-fuzz-0.13.2/bin/cargo-fuzz
cyclonedx := $(cache)/cargo-cyclonedx-0.5.9/bin/cargo-cyclonedx

bed := cargo run --quiet --bin bed --
musl := $(shell uname -m)-unknown-linux-musl
shell_scripts = $(shell git ls-files '*.sh') .ci/advisories .ci/run

.PHONY: help
help: ## List all targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' Makefile

# rustup may be configured not to install the toolchain of rust-toolchain.toml automatically.
.PHONY: toolchain
toolchain:
	@if command -v rustup >/dev/null && ! rustup target list --installed | grep aarch64-unknown-linux-musl >/dev/null; then
	  echo "installing the toolchain of rust-toolchain.toml (once)" >&2
	  rustup toolchain install --no-self-update
	fi

.PHONY: build
build: toolchain ## Build static programs (the holder for x86_64 and aarch64), and print their sizes
	@holders=$$(src/holder/build.sh x86_64 aarch64)
	cargo build --release --package kube-prepull --target $(musl)
	stat --printf '%9s bytes  %n\n' $$holders target/$(musl)/release/kube-prepull

.PHONY: image
image: toolchain $(cyclonedx) ## Build the images for amd64 and arm64, and print their digests. PUSH=REFERENCE pushes them
	@$(bed) require aarch64-linux-gnu-gcc aarch64-linux-gnu-headers
	deploy/image.sh --builder >/dev/null 2>&1 || $(bed) require buildah
	CARGO_CYCLONEDX=$(cyclonedx) deploy/image.sh $(PUSH)

$(cyclonedx):
	@echo "building cargo-cyclonedx (once; takes about three minutes)" >&2
	cargo install --quiet --locked --root $(cache)/cargo-cyclonedx-0.5.9 cargo-cyclonedx@0.5.9

.PHONY: demo
demo: toolchain ## Run a demo on a real node (root). KEEP=1 leaves it running
	@cargo build --bins
	"$${CARGO_TARGET_DIR:-target}/debug/demo" $(if $(KEEP),--keep) $(if $(SIMULATED),--simulated)

.PHONY: test
test: toolchain ## Run all tests but the long ones, on clusters that are started for them (root)
	@cargo build --bin bed
	$(bed) require qemu-aarch64-static lua5.4 chromium-headless-shell dejavu-fonts
	$(bed) run --simulated --real --count 2 -- tests/run.sh

.PHONY: screenshots
screenshots: toolchain ## Draw the page for docs/pictures in a browser, from a simulated cluster
	@cargo build --bin bed
	$(bed) require chromium-headless-shell dejavu-fonts
	$(bed) run --simulated -- env UPDATE_SCREENSHOTS=1 cargo test --test cluster -- --ignored simulated::screenshots

.PHONY: test-faults
test-faults: toolchain ## Run the long tests: outages, full nodes, crashes, failing ImageCaches (root)
	@cargo build --bin bed
	$(bed) run --simulated --real --count 2 -- env RUST_TEST_THREADS=6 tests/run.sh --workspace -- --ignored

# The controller is measured as it is released. What measures it need not be fast.
.PHONY: bench
bench: toolchain ## Measure memory, CPU, latency, requests beside their goals (half an hour). SCALE=5000, LISTS=500, UPDATE_README=1
	@cargo build --bins
	cargo bench --quiet --package kube-prepull --bench coverage
	cargo build --quiet --release --package kube-prepull --target $(musl)
	export KUBE_PREPULL_TEST_PROGRAM=$(abspath $(or $(CARGO_TARGET_DIR),target))/$(musl)/release/kube-prepull
	cargo bench --quiet --profile dev --package kube-prepull --bench cluster --no-run
	"$${CARGO_TARGET_DIR:-target}/debug/bed" run --simulated -- cargo bench --quiet --profile dev --package kube-prepull --bench cluster

.PHONY: bench-nodes
bench-nodes: toolchain ## Measure what held images cost on a real node, and parallel pulls (root; half an hour)
	@cargo build --bins
	cargo bench --quiet --profile dev --package kube-prepull --bench nodes --no-run
	"$${CARGO_TARGET_DIR:-target}/debug/bed" run --real -- cargo bench --quiet --profile dev --package kube-prepull --bench nodes

.PHONY: explore
explore: toolchain ## Run the property tests with new random cases. SEED=N repeats a run
	@export PROPTEST_RNG_SEED=$(or $(SEED),$$(od -An -N4 -tu4 /dev/urandom | tr -d ' '))
	echo "SEED=$$PROPTEST_RNG_SEED" >&2
	tests/run.sh --package kube-prepull --lib --test lists

# The target's own findings go to fuzz/target, so that the corpus in Git only grows by hand.
.PHONY: fuzz
fuzz: ## Search for inputs that break TARGET=lists, references, coverage or messages for TIME=60 seconds
	@if ! cargo +nightly --version >/dev/null 2>&1; then
	  echo "make fuzz needs a nightly toolchain: rustup toolchain install --profile minimal nightly" >&2
	  exit 1
	fi
	if [ ! -f "fuzz/fuzz_targets/$(TARGET).rs" ]; then
	  echo "choose a target, such as: make fuzz TARGET=lists" >&2
	  exit 2
	fi
	$(MAKE) --no-print-directory $(cargo_fuzz)
	mkdir -p fuzz/target/corpus/$(TARGET)
	export PATH="$(dir $(cargo_fuzz)):$$PATH"
	cargo +nightly fuzz run $(TARGET) fuzz/target/corpus/$(TARGET) fuzz/corpus/$(TARGET) -- -max_total_time=$(or $(TIME),60) -timeout=10

$(cargo_fuzz):
	@echo "building cargo-fuzz (once; takes about a minute)" >&2
	cargo install --quiet --locked --root $(cache)/cargo-fuzz-0.13.2 cargo-fuzz@0.13.2

.PHONY: lint
lint: toolchain $(deny) ## Check formatting, clippy, shell scripts, licences, sources and advisories
	@cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	cargo clippy --package holder --bin holder --features program --release --target $(musl) -- --deny warnings
	$(bed) require shellcheck
	shellcheck $(shell_scripts)
	$(deny) --locked --log-level warn check bans licenses sources
	rustfmt --edition 2024 --check fuzz/fuzz_targets/*.rs
	$(deny) --locked --log-level warn --manifest-path fuzz/Cargo.toml --config fuzz/deny.toml check bans licenses sources
	.ci/advisories $(deny)

$(deny):
	@echo "building cargo-deny (once; takes about three minutes)" >&2
	cargo install --quiet --locked --root $(cache)/cargo-deny-0.20.2 cargo-deny@0.20.2

.PHONY: cluster
cluster: toolchain ## Start a simulated cluster and leave it running (no root)
	@$(bed) cluster

.PHONY: node
node: toolchain ## Start a real node and a registry and leave them running (root)
	@$(bed) node

.PHONY: down
down: toolchain ## Stop all clusters, and remove what a crash left behind
	@$(bed) down
