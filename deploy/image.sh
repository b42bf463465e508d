#!/usr/bin/env bash
# Builds the image for all architectures with buildah, podman or docker, whichever works, and prints sizes and digest.
#
# usage: deploy/image.sh [--builder | REFERENCE]
#
# The result is an OCI layout in target/image/layout. With a REFERENCE, the image is pushed as well; REGISTRY_OPTIONS are passed to
# the builder then, for example "--tls-verify=false". BUILDER selects a builder if several work. --builder only prints which one
# will be used.
#
# Builds are reproducible: the same sources, toolchain and builder result in the same digest, on any machine and in any folder.
set -euo pipefail
cd "$(dirname "$0")/.."

largest=6000000 # bytes, compressed, of an architecture
# The order affects the digest.
architectures=(amd64 arm64)

if [ $# -gt 1 ] || [[ ${1:-} == -* && $1 != --builder ]]; then
  sed -n 's/^# usage: /usage: /p' "$0" >&2
  [ "${1:-}" = --help ] || exit 2
  exit 0
fi
reference=${1:-}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
out=$PWD/target/image
context=$out/context
layout=$out/layout

# Rust's name of an architecture.
in_rust() {
  case $1 in amd64) echo x86_64 ;; arm64) echo aarch64 ;; esac
}

programs() {
  # A separate target folder, because these flags remap the paths of this machine.
  export CARGO_TARGET_DIR=$out/cargo
  export RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$PWD=/kube-prepull"
  local architecture rust
  for architecture in "${architectures[@]}"; do
    rust=$(in_rust "$architecture")
    echo "building the programs for $architecture" >&2
    if [ "$rust" != "$(uname -m)" ]; then
      # For ring's C and assembly code, which does not use a C library.
      export "CC_${rust}_unknown_linux_musl=$rust-linux-gnu-gcc"
    fi
    cargo build --quiet --locked --release --package kube-prepull --target "$rust-unknown-linux-musl"
    install -D "$CARGO_TARGET_DIR/$rust-unknown-linux-musl/release/kube-prepull" "$context/$architecture/kube-prepull"
    install "$(src/holder/build.sh "$rust")" "$context/$architecture/holder"
  done
}

# The SBOM of the controller, as CycloneDX. The holder has no dependencies.
bill_of_materials() {
  local cyclonedx=${CARGO_CYCLONEDX:-cargo-cyclonedx} file=kube-prepull.cdx
  # It writes a file next to the manifest of each workspace member.
  trap 'rm -f ./*/'"$file"'.json ./*/*/'"$file"'.json '"$file"'.json' RETURN
  SOURCE_DATE_EPOCH=0 "$cyclonedx" cyclonedx --quiet --format json --target x86_64-unknown-linux-musl \
    --override-filename "$file"
  sed "s|path+file://$PWD|path+file:///kube-prepull|g; s|$PWD|/kube-prepull|g" "$file.json" >"$context/$file.json"
  if grep -F "$HOME" "$context/$file.json" >&2; then
    echo "the bill of materials names a path of this machine" >&2
    exit 1
  fi
}

# Whether a builder works: there can be a docker client without an engine, or without buildx.
works() {
  case $1 in
    docker) docker buildx inspect >/dev/null 2>&1 ;;
    *) "$1" info >/dev/null 2>&1 ;;
  esac
}

# The first builder that works.
builder() {
  local candidate
  for candidate in ${BUILDER:-buildah podman docker}; do
    if works "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  echo "none of these works here: ${BUILDER:-buildah, podman, docker with buildx}" >&2
  exit 1
}

arguments() {
  printf '%s\n' --file deploy/Containerfile --build-arg "VERSION=$version" --build-arg "REVISION=$revision"
}

# buildah and podman have the same options.
with_containers_tools() {
  local list=localhost/kube-prepull-image-list architecture
  "$1" manifest rm "$list" >/dev/null 2>&1 || true
  for architecture in "${architectures[@]}"; do
    # --layers=false creates a single layer and does not use the build cache.
    "$1" build --quiet --format oci --platform "linux/$architecture" --manifest "$list" \
      --timestamp 0 --identity-label=false --layers=false "${@:2}" "$context" >/dev/null
  done
  "$1" manifest push --all "$list" "oci:$layout" >/dev/null 2>"$out/log" || { cat "$out/log" >&2; exit 1; }
  if [ -n "$reference" ]; then
    # shellcheck disable=SC2086 # several options in one variable
    "$1" manifest push --all ${REGISTRY_OPTIONS:-} "$list" "docker://$reference"
  fi
  "$1" manifest rm "$list" >/dev/null
}

with_docker() {
  local platforms
  platforms=$(printf 'linux/%s,' "${architectures[@]}")
  local build=(docker buildx build --platform "${platforms%,}" --provenance=false --sbom=false "$@")
  SOURCE_DATE_EPOCH=0 "${build[@]}" --output "type=oci,tar=false,rewrite-timestamp=true,dest=$layout" "$context"
  if [ -n "$reference" ]; then
    # shellcheck disable=SC2086 # several options in one variable
    SOURCE_DATE_EPOCH=0 "${build[@]}" ${REGISTRY_OPTIONS:-} \
      --output "type=image,push=true,rewrite-timestamp=true,name=$reference" "$context"
  fi
}

# The digests in a manifest or an index, in order.
digests() {
  grep -o '"digest": *"sha256:[0-9a-f]*"' "$1" | grep -o '[0-9a-f]\{64\}'
}

sizes() {
  local index position=0 digest bytes
  index=$(digests "$layout/index.json")
  for digest in $(digests "$layout/blobs/sha256/$index"); do
    bytes=$(grep -o '"size": *[0-9]*' "$layout/blobs/sha256/$digest" | awk -F : '{ sum += $2 } END { print sum }')
    printf '%9d bytes compressed  linux/%s\n' "$bytes" "${architectures[position]}"
    if [ "$bytes" -gt "$largest" ]; then
      echo "that is more than the $largest that it may have" >&2
      exit 1
    fi
    position=$((position + 1))
  done
  echo "sha256:$index  kube-prepull:$version, in ${layout#"$PWD/"}"
}

chosen=$(builder)
if [ "$reference" = --builder ]; then
  echo "$chosen"
  exit 0
fi
rm -rf "$context" "$layout"
mkdir -p "$context"
cp LICENSE "$context"
programs
bill_of_materials
echo "building the image with $chosen" >&2
mapfile -t options < <(arguments)
if [ "$chosen" = docker ]; then
  with_docker "${options[@]}"
else
  with_containers_tools "$chosen" "${options[@]}"
fi
sizes
