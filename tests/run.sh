#!/usr/bin/env bash
# run.sh [ARGUMENT…]: runs `cargo test` with these arguments, or every test of the workspace, and closes with one line.
# Clusters must be running: `make test` starts them around this.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# The helper that starts clusters is run by cargo, which tells it what package it is of; ring and all that needs it would be built
# anew for tests that are told so, and then anew without.
unset "${!CARGO_MANIFEST_@}" "${!CARGO_PKG_@}"
# Tests spend their time waiting for clusters, so more of them run at a time than there are cores.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-12}
# The same cases for every change, so that a change fails for what it does. `make explore` looks for new ones.
export PROPTEST_RNG_SEED=${PROPTEST_RNG_SEED:-20190611}
status=0
[ $# -gt 0 ] || set -- --workspace
cargo test --no-fail-fast "$@" 2>&1 | tee "$log" || status=$?

# Each test binary says: "test result: ok. 12 passed; 0 failed; 1 ignored; …"
awk -v status="$status" '
  /^test .* \.\.\. FAILED$/ { print "failed: " $2 }
  /^test result:/ { passed += $4; failed += $6; ignored += $8 }
  END {
    # A test binary that does not build, or that dies, has no result line.
    if (status != 0 && failed == 0) failed = 1
    printf "\n%d passed, %d failed, %d skipped\n", passed, failed, ignored
  }' "$log"
exit "$status"
