#!/usr/bin/env bash
# Builds the controller's image and the one of its holder for all architectures with buildah, podman or docker, whichever works, and
# prints sizes and digests.
#
# usage: deploy/image.sh [--builder | REFERENCE]
#
# The results are OCI layouts in target/image/layout and target/image/holder-layout. With a REFERENCE, the controller's image is pushed
# there, and the holder's beside it, to the same tag with the suffix -holder; REGISTRY_OPTIONS are passed to the builder then, for
# example "--tls-verify=false". BUILDER selects a builder if several work. --builder only prints which one will be used.
#
# Builds are reproducible: the same sources, toolchain and builder result in the same digests, on any machine and in any folder.
set -euo pipefail
cd "$(dirname "$0")/.."

# Bytes that a node pulls at most: the index, and the manifest, the configuration and the layers of its architecture.
largest=6000000
largest_of_holder=10000
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
holder_layout=$out/holder-layout

# Rust's name of an architecture.
in_rust() {
  case $1 in amd64) echo x86_64 ;; arm64) echo aarch64 ;; esac
}

programs() {
  # A separate target folder, because these flags remap the paths of this machine.
  export CARGO_TARGET_DIR=$out/cargo
  # They replace those of .cargo/config.toml, so what stands there is repeated.
  export RUSTFLAGS="-C link-arg=--icf=all -C link-arg=--pack-dyn-relocs=relr --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$PWD=/kube-prepull"
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

# The SBOMs of the controller and of the holder, as CycloneDX. The holder has no dependencies.
bills_of_materials() {
  local cyclonedx=${CARGO_CYCLONEDX:-cargo-cyclonedx} file=kube-prepull.cdx
  # It writes a file next to the manifest of each workspace member.
  trap 'rm -f ./*/'"$file"'.json ./*/*/'"$file"'.json '"$file"'.json' RETURN
  SOURCE_DATE_EPOCH=0 "$cyclonedx" cyclonedx --quiet --format json --target x86_64-unknown-linux-musl \
    --override-filename "$file"
  without_paths "$file.json" >"$context/$file.json"
  without_paths "src/holder/$file.json" >"$context/holder.cdx.json"
  if grep -F "$HOME" "$context/$file.json" "$context/holder.cdx.json" >&2; then
    echo "the bill of materials names a path of this machine" >&2
    exit 1
  fi
}

without_paths() {
  sed "s|path+file://$PWD|path+file:///kube-prepull|g; s|$PWD|/kube-prepull|g" "$1"
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

# The reference of the holder's image beside this one of the controller's.
of_holder() {
  case ${1##*/} in
    "") ;;
    *:*) echo "$1-holder" ;;
    *) echo "$1:latest-holder" ;;
  esac
}

# Builds an image: build CONTAINERFILE LAYOUT REFERENCE, where an empty reference is not pushed.
build() {
  local options=(--file "$1" --build-arg "VERSION=$version" --build-arg "REVISION=$revision")
  case $chosen in
    docker) with_docker "$2" "$3" "${options[@]}" ;;
    *) with_containers_tools "$2" "$3" "${options[@]}" ;;
  esac
}

# buildah and podman have the same options.
with_containers_tools() {
  local into=$1 pushed_to=$2 list=localhost/kube-prepull-image-list architecture
  "$chosen" manifest rm "$list" >/dev/null 2>&1 || true
  for architecture in "${architectures[@]}"; do
    # --layers=false creates a single layer and does not use the build cache.
    "$chosen" build --quiet --format oci --platform "linux/$architecture" --manifest "$list" \
      --timestamp 0 --identity-label=false --layers=false "${@:3}" "$context" >/dev/null
  done
  "$chosen" manifest push --all "$list" "oci:$into" >/dev/null 2>"$out/log" || { cat "$out/log" >&2; exit 1; }
  if [ -n "$pushed_to" ]; then
    # shellcheck disable=SC2086 # several options in one variable
    "$chosen" manifest push --all ${REGISTRY_OPTIONS:-} "$list" "docker://$pushed_to"
  fi
  "$chosen" manifest rm "$list" >/dev/null
}

with_docker() {
  local into=$1 pushed_to=$2 platforms
  platforms=$(printf 'linux/%s,' "${architectures[@]}")
  local buildx=(docker buildx build --platform "${platforms%,}" --provenance=false --sbom=false "${@:3}")
  SOURCE_DATE_EPOCH=0 "${buildx[@]}" --output "type=oci,tar=false,rewrite-timestamp=true,dest=$into" "$context"
  if [ -n "$pushed_to" ]; then
    # shellcheck disable=SC2086 # several options in one variable
    SOURCE_DATE_EPOCH=0 "${buildx[@]}" ${REGISTRY_OPTIONS:-} \
      --output "type=image,push=true,rewrite-timestamp=true,name=$pushed_to" "$context"
  fi
}

# The digests in a manifest or an index, in order.
digests() {
  grep -o '"digest": *"sha256:[0-9a-f]*"' "$1" | grep -o '[0-9a-f]\{64\}'
}

# Prints the sizes and the digest of an image: sizes LAYOUT LARGEST NAME.
sizes() {
  local blobs=$1/blobs/sha256 index position=0 digest parts bytes
  index=$(digests "$1/index.json")
  for digest in $(digests "$blobs/$index"); do
    parts=$(grep -o '"size": *[0-9]*' "$blobs/$digest" | awk -F : '{ sum += $2 } END { print sum }')
    bytes=$((parts + $(wc -c <"$blobs/$digest") + $(wc -c <"$blobs/$index")))
    printf '%9d bytes compressed  linux/%s\n' "$bytes" "${architectures[position]}"
    if [ "$bytes" -gt "$2" ]; then
      echo "that is more than the $2 that it may have" >&2
      exit 1
    fi
    position=$((position + 1))
  done
  echo "sha256:$index  $3, in ${1#"$PWD/"}"
}

chosen=$(builder)
if [ "$reference" = --builder ]; then
  echo "$chosen"
  exit 0
fi
rm -rf "$context" "$layout" "$holder_layout"
mkdir -p "$context"
cp LICENSE "$context"
programs
bills_of_materials
echo "building the images with $chosen" >&2
# The smaller one first, so that no controller is there whose holder is not.
build deploy/Containerfile.holder "$holder_layout" "$(of_holder "$reference")"
build deploy/Containerfile "$layout" "$reference"
sizes "$holder_layout" "$largest_of_holder" "kube-prepull:$version-holder"
sizes "$layout" "$largest" "kube-prepull:$version"
