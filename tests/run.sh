#!/usr/bin/env bash
# run.sh [ARGUMENT…]: runs `cargo test` with these arguments, or all tests of the workspace, and prints a summary line.
# Requires running clusters: `make test` starts them first.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# This script inherits variables from `cargo run`. With them, cargo would rebuild ring and its dependents, and rebuild them again
# without them.
unset "${!CARGO_MANIFEST_@}" "${!CARGO_PKG_@}"
# Tests mostly wait for clusters, so run more of them at a time than there are cores.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-8}
# The same random cases in every run, so that failures are reproducible. `make explore` tries new ones.
export PROPTEST_RNG_SEED=${PROPTEST_RNG_SEED:-20190611}
status=0
[ $# -gt 0 ] || set -- --workspace
cargo test --no-fail-fast "$@" 2>&1 | tee "$log" || status=$?

# Each test binary prints: "test result: ok. 12 passed; 0 failed; 1 ignored; …"
awk -v status="$status" '
  /^test .* \.\.\. FAILED$/ { print "failed: " $2 }
  /^test result:/ { passed += $4; failed += $6; ignored += $8 }
  END {
    # A test binary that does not compile or crashes prints no result line.
    if (status != 0 && failed == 0) failed = 1
    printf "\n%d passed, %d failed, %d skipped\n", passed, failed, ignored
  }' "$log"
exit "$status"
