#!/usr/bin/env bash
# install.sh TOOL...: builds the given programs from the Go modules in this folder, unless they are cached, and prints the folder
# that contains them. The cache is per user and keyed by the module files, so all checkouts with the same versions share one
# build.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
kubernetes_version=v1.36.3

# The source of each program: "<set>/<module> <package> [build tags]".
package_of() {
  case $1 in
    kube-apiserver | kube-controller-manager | kube-scheduler | kubelet | kubectl) echo "cluster/kubernetes k8s.io/kubernetes/cmd/$1" ;;
    etcd) echo "cluster/kubernetes go.etcd.io/etcd/server/v3" ;;
    kwok | kwokctl) echo "cluster/kubernetes sigs.k8s.io/kwok/cmd/$1" ;;
    helm) echo "cluster/kubernetes helm.sh/helm/v4/cmd/helm" ;;
    containerd | containerd-shim-runc-v2 | ctr) echo "cluster/containerd github.com/containerd/containerd/v2/cmd/$1" ;;
    kube-score) echo "linters/kube-score github.com/zegl/kube-score/cmd/kube-score" ;;
    actionlint) echo "linters/actionlint github.com/rhysd/actionlint/cmd/actionlint" ;;
    # Without service discovery for cloud providers: tests use static targets.
    prometheus | promtool) echo "monitoring/prometheus github.com/prometheus/prometheus/cmd/$1 remove_all_sd" ;;
    *) echo "install.sh: unknown program: $1" >&2; exit 2 ;;
  esac
}

sets=$(for tool in "$@"; do package_of "$tool"; done | cut -d/ -f1 | sort -u)
if [ "$(wc -w <<<"$sets")" -ne 1 ]; then
  echo "install.sh: all programs must be of the same set, but $* are of: ${sets:-none}" >&2
  exit 2
fi
key=$(cat "$here/$sets"/*/go.mod "$here/$sets"/*/go.sum | sha256sum | cut -c1-16)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/kube-prepull/$key
mkdir -p "$folder"

missing=()
for tool in "$@"; do
  [ -x "$folder/$tool" ] || missing+=("$tool")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "$folder"
  exit 0
fi

# Only one build at a time: another checkout waits here and then finds the programs in the cache.
exec 9>"$folder/.lock"
flock 9

# Without these flags, servers report v0.0.0-master, and clients refuse them or guess their features.
version=k8s.io/component-base/version
minor=${kubernetes_version#v1.}
ldflags="-s -w -X $version.gitVersion=$kubernetes_version -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*}"

count=0
for tool in "${missing[@]}"; do
  count=$((count + 1))
  [ -x "$folder/$tool" ] && continue
  read -r module package tags < <(package_of "$tool")
  started=$SECONDS
  printf 'building %s (%d of %d, cached for later) … ' "$tool" "$count" "${#missing[@]}" >&2
  scratch=$(mktemp -d "$folder/.build.XXXXXX")
  log=$scratch/log
  if ! (cd "$here/$module" && GOBIN=$scratch/bin GOFLAGS=-mod=readonly CGO_ENABLED=0 \
    go install -trimpath -tags "$tags" -ldflags "$ldflags" "$package") >"$log" 2>&1; then
    printf 'failed\n' >&2
    cat "$log" >&2
    rm -rf "$scratch"
    exit 1
  fi
  # etcd installs as "server" or "v3". The folder contains exactly one file, whatever its name is.
  mv "$scratch"/bin/* "$folder/$tool"
  rm -rf "$scratch"
  printf '%d s\n' $((SECONDS - started)) >&2
done
echo "$folder"
