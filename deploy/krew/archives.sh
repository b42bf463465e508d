#!/usr/bin/env bash
# Packs the programs that deploy/image.sh has built in target/image/context into archives for the kubectl plugin, and renders the
# plugin's manifest.
#
# usage: deploy/krew/archives.sh HOMEPAGE DOWNLOADS
#
# HOMEPAGE is the URL of the project, DOWNLOADS the base URL of the archives. The archives and prepull.yaml are written to
# target/krew. The same programs result in the same archives.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ $# -ne 2 ]; then
  sed -n 's/^# usage: /usage: /p' "$0" >&2
  exit 2
fi
homepage=$1 downloads=$2
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
context=${CONTEXT:-target/image/context}
out=${OUT:-target/krew}
mkdir -p "$out"

# Packs the program for an architecture, and prints the SHA-256 of the archive.
archive() {
  local architecture=$1
  local file=$out/kube-prepull-$version-linux-$architecture.tar.gz
  tar --create --sort name --mtime @0 --owner 0 --group 0 --numeric-owner --mode u=rwX,go=rX \
    --directory "$context/$architecture" kube-prepull --directory "$PWD" LICENSE | gzip --no-name --best >"$file"
  sha256sum "$file" | cut -d ' ' -f 1
}

amd64=$(archive amd64)
arm64=$(archive arm64)
sed -e '/^#/d' -e "s|{{ VERSION }}|$version|g" -e "s|{{ HOMEPAGE }}|$homepage|g" -e "s|{{ DOWNLOADS }}|$downloads|g" \
  -e "s|{{ SHA256_AMD64 }}|$amd64|g" -e "s|{{ SHA256_ARM64 }}|$arm64|g" deploy/krew/prepull.yaml >"$out/prepull.yaml"
if grep -n '{{' "$out/prepull.yaml" >&2; then
  echo "the manifest is not filled in" >&2
  exit 1
fi
echo "$out/prepull.yaml"
