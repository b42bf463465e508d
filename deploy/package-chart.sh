#!/usr/bin/env bash
# Packs the chart for a release, with what Artifact Hub shows of it: where the project is, and which images it installs.
#
# usage: deploy/package-chart.sh HOMEPAGE REGISTRY
#
# HOMEPAGE is the URL of the project, REGISTRY where its images are, such as registry.example.com/team. The archive is written to target.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# -ne 2 ]; then
  sed -n 's/^# usage: /usage: /p' "$0" >&2
  exit 2
fi
homepage=$1 registry=$2
version=$(sed -n 's/^version: //p' deploy/helm/Chart.yaml)
out=${OUT:-target}
chart=$(mktemp --directory)
trap 'rm -r "$chart"' EXIT

cp --recursive --dereference deploy/helm/. "$chart"
# The annotations are the last key, so more of them can follow.
sed -i "s|^annotations:|home: $homepage\nsources: [$homepage]\n&|" "$chart/Chart.yaml"
cat >>"$chart/Chart.yaml" <<END
  artifacthub.io/links: |
    - name: Documentation
      url: $homepage/blob/v$version/docs/README.md
    - name: Changelog
      url: $homepage/blob/v$version/CHANGELOG.md
    - name: support
      url: $homepage/issues
  artifacthub.io/images: |
    - name: controller
      image: $registry/kube-prepull:$version
      platforms: [linux/amd64, linux/arm64]
    - name: holder
      image: $registry/kube-prepull:$version-holder
      platforms: [linux/amd64, linux/arm64]
END
"${HELM:-helm}" package "$chart" --destination "$out"
