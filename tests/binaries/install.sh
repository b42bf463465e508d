#!/usr/bin/env bash
# install.sh TOOL...: builds the named programs from the Go modules beside this file, unless they are there already, and
# prints the folder that holds them. That folder belongs to the user, not to the checkout, and is named after the module
# files of the set that the programs are of, so all checkouts with the same versions share one build.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
kubernetes_version=v1.36.3

# Where each program comes from: "<set>/<module> <package> [build tags]".
package_of() {
  case $1 in
    kube-apiserver | kube-controller-manager | kube-scheduler | kubelet | kubectl) echo "cluster/kubernetes k8s.io/kubernetes/cmd/$1" ;;
    etcd) echo "cluster/kubernetes go.etcd.io/etcd/server/v3" ;;
    kwok | kwokctl) echo "cluster/kubernetes sigs.k8s.io/kwok/cmd/$1" ;;
    helm) echo "cluster/kubernetes helm.sh/helm/v4/cmd/helm" ;;
    containerd | containerd-shim-runc-v2 | ctr) echo "cluster/containerd github.com/containerd/containerd/v2/cmd/$1" ;;
    kube-score) echo "linters/kube-score github.com/zegl/kube-score/cmd/kube-score" ;;
    actionlint) echo "linters/actionlint github.com/rhysd/actionlint/cmd/actionlint" ;;
    # Without the clients of thirty clouds: tests name their targets in the configuration.
    prometheus | promtool) echo "monitoring/prometheus github.com/prometheus/prometheus/cmd/$1 remove_all_sd" ;;
    *) echo "install.sh: no such program: $1" >&2; exit 2 ;;
  esac
}

sets=$(for tool in "$@"; do package_of "$tool"; done | cut -d/ -f1 | sort -u)
if [ "$(wc -w <<<"$sets")" -ne 1 ]; then
  echo "install.sh: one folder holds the programs of one set, and $* are of: ${sets:-none}" >&2
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

# One builder a machine: a second checkout waits here and then finds the work done.
exec 9>"$folder/.lock"
flock 9

# Without these the servers call themselves v0.0.0-master, and clients then refuse or guess features.
version=k8s.io/component-base/version
minor=${kubernetes_version#v1.}
ldflags="-s -w -X $version.gitVersion=$kubernetes_version -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*}"

count=0
for tool in "${missing[@]}"; do
  count=$((count + 1))
  [ -x "$folder/$tool" ] && continue
  read -r module package tags < <(package_of "$tool")
  started=$SECONDS
  printf 'building %s (%d of %d, kept for next time) … ' "$tool" "$count" "${#missing[@]}" >&2
  scratch=$(mktemp -d "$folder/.build.XXXXXX")
  log=$scratch/log
  if ! (cd "$here/$module" && GOBIN=$scratch/bin GOFLAGS=-mod=readonly CGO_ENABLED=0 \
    go install -trimpath -tags "$tags" -ldflags "$ldflags" "$package") >"$log" 2>&1; then
    printf 'failed\n' >&2
    cat "$log" >&2
    rm -rf "$scratch"
    exit 1
  fi
  # etcd's package installs as "server" or "v3"; there is one file in the folder, whatever its name.
  mv "$scratch"/bin/* "$folder/$tool"
  rm -rf "$scratch"
  printf '%d s\n' $((SECONDS - started)) >&2
done
echo "$folder"
