#!/bin/sh
# Builds the program for the given architectures and prints where each of them is, a line each.
#
# usage: src/holder/build.sh ARCHITECTURE…      x86_64, aarch64
#
# It needs nothing but the Rust toolchain: the linker is Rust's own, and there is no library to link with.
set -eu

largest=4096 # bytes

cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-$PWD/target}

# For a program of this size, optimising for size and across crates matters more than it costs.
export CARGO_PROFILE_RELEASE_OPT_LEVEL=z CARGO_PROFILE_RELEASE_LTO=fat
# In place of those of .cargo/config.toml: there is nothing to outline in it.
export RUSTFLAGS="-C link-arg=--icf=all -C link-arg=--pack-dyn-relocs=relr"

build() {
    # link-self-contained=no: no start code and no C library. relocation-model=static: there is nobody to relocate it.
    cargo rustc --quiet --package holder --bin holder --features program --release \
        --target "$1-unknown-linux-musl" -- \
        -C linker=rust-lld -C link-self-contained=no -C relocation-model=static \
        -C link-arg=--build-id=none \
        -C link-arg=--script="$PWD/src/holder/layout.ld"
}

check_size() {
    size=$(wc -c <"$1")
    if [ "$size" -gt "$largest" ]; then
        echo "$1 has $size bytes, more than the $largest it may have: see what the last change drew in" >&2
        exit 1
    fi
}

# Whole or not there, so that a build beside running tests does not pull their program from under them.
place() {
    mkdir -p "$(dirname "$2")"
    cp "$1" "$2.$$"
    mv "$2.$$" "$2"
}

if [ $# -eq 0 ]; then
    echo "usage: $0 ARCHITECTURE…      x86_64, aarch64" >&2
    exit 2
fi
for architecture; do
    build "$architecture"
    built=$target/$architecture-unknown-linux-musl/release/holder
    placed=$target/holder/$architecture/holder
    check_size "$built"
    place "$built" "$placed"
    echo "$placed"
done
