#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Installs the Debian packages that are missing, and only those; silent when everything is there. Services that come with them stay off.
#
# Usage: scripts/install-deps.sh [build|test|bench|conformance|docs]
#   build  what compiling and benchmarking need          test  that, and the real programs that the tests run
#   bench  the rivals of the library: Boost.Fiber, and Go where apt offers 1.22 or newer (on Debian 12: from backports)
#   conformance  what building needs, and what unpacks a source package
#   docs  what building needs, and doxygen
set -euo pipefail

build_packages=(make cmake ninja-build g++ python3 libfmt-dev libcli11-dev nlohmann-json3-dev libgtest-dev libbenchmark-dev)
test_packages=(apache2-bin clang-16 curl doxygen valgrind libpython3.11-testsuite memcached nginx pkg-config postgresql-15 redis-server strace stress-ng
  sysbench xz-utils zstd)
conformance_packages=(gcc libc6-dev dpkg-dev)
docs_packages=(doxygen)
bench_packages=(libboost-fiber1.81-dev)

# Go may be there already, and not as a package. Debian 12's own is too old.
new_enough_go() {
  local go version
  for go in go /usr/local/go/bin/go /usr/lib/go-1.23/bin/go; do
    version=$("$go" env GOVERSION 2>/dev/null) || continue
    [[ $version =~ ^go1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 22 ] && return
  done
  return 1
}
add_go() {
  new_enough_go && return
  if apt-cache show golang-1.23-go >/dev/null 2>&1; then
    bench_packages+=(golang-1.23-go)
  else
    echo "install-deps: no Go 1.22 or newer here, and apt offers no golang-1.23-go (on Debian 12 it is in bookworm-backports): left out" >&2
  fi
}

case "${1:-build}" in
  build) wanted=("${build_packages[@]}") ;;
  test) wanted=("${build_packages[@]}" "${test_packages[@]}") ;;
  bench) add_go; wanted=("${bench_packages[@]}") ;;
  conformance) wanted=("${build_packages[@]}" "${conformance_packages[@]}") ;;
  docs) wanted=("${build_packages[@]}" "${docs_packages[@]}") ;;
  *) echo "install-deps: unknown set '$1': use build, test, bench, conformance or docs" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "install-deps: this is no Debian-like system; install by hand: ${wanted[*]}" >&2
  exit 0 # the build itself says what it misses
fi

missing=()
for package in "${wanted[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed* ]] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "install-deps: missing packages: ${missing[*]}" >&2
    echo "install-deps: not root and no sudo; as root run: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

fail() {
  echo "install-deps: $1 failed (see above); without it these packages stay missing: ${missing[*]}" >&2
  echo "install-deps: check the network and /etc/apt/sources.list, then try again, or install them by hand" >&2
  exit 1
}

services() {
  { find /etc/systemd/system -path '*.wants/*.service' 2>/dev/null || true; } | sort
}

# The tests run the servers themselves, so nothing is started now, nor when the machine starts.
policy=/usr/sbin/policy-rc.d
services_before=$(services)
if [ ! -e $policy ]; then
  trap '"${as_root[@]}" rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 755 /dev/stdin $policy
fi

echo "install-deps: installing ${missing[*]}"
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
install=("${apt[@]}" install -y --no-remove --no-install-recommends "${missing[@]}")
# The package lists may be missing or stale: try with what is there, refresh once, try again.
if ! "${install[@]}" >/dev/null 2>&1; then
  "${apt[@]}" update >/dev/null || fail "apt-get update"
  "${install[@]}" >/dev/null || fail "apt-get install"
fi
comm -13 <(echo "$services_before") <(services) | while read -r service; do
  "${as_root[@]}" systemctl --quiet disable "${service##*/}" || fail "systemctl disable ${service##*/}"
done
