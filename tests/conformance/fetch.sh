#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Fetches the Open POSIX test suite, Debian's source package posixtestsuite, into DIRECTORY/posixtestsuite; does nothing if it is there.
#
# Usage: fetch.sh DIRECTORY
#
# The suite is under the GPL and is never part of this project. It needs no root: if the system lists no source packages, apt gets
# a list of its own below DIRECTORY, made from the addresses that the system uses for binary packages. Rejected: adding deb-src to the
# system's own list, which changes somebody's machine for the sake of a test.
set -euo pipefail

directory=${1:?usage: fetch.sh DIRECTORY}
tree=$directory/posixtestsuite
[ ! -d "$tree" ] || exit 0
mkdir -p "$directory"
cd "$directory"

download() { apt-get -qq "$@" source --download-only posixtestsuite >download.log 2>&1; }

download_by_own_list() {
  mkdir -p apt/lists/partial apt/cache/archives/partial
  apt-get indextargets 'Created-By: Packages' --format 'deb-src $(REPO_URI) $(RELEASE) $(COMPONENT)' | sort -u >apt/sources.list
  local own=(-o "Dir::Etc::SourceList=$PWD/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$PWD/apt/lists" -o "Dir::Cache=$PWD/apt/cache" -o APT::Sandbox::User=)
  apt-get -qq "${own[@]}" update >update.log 2>&1 || { cat update.log >&2; return 1; }
  download "${own[@]}" || { cat download.log >&2; return 1; }
}

if ! download && ! download_by_own_list; then
  echo "conformance: the source package posixtestsuite cannot be fetched (see above); put its unpacked tree into $tree" >&2
  exit 1
fi

rm -rf unpacking
dpkg-source -x posixtestsuite_*.dsc unpacking >unpack.log 2>&1 || { cat unpack.log >&2; exit 1; }
# The tests of asynchronous I/O ask for the option's version of 2001 exactly; a newer one is as good.
grep -rlE --include='*.c' '_POSIX_ASYNCHRONOUS_IO != 200112L' unpacking |
  xargs -r sed -i 's/_POSIX_ASYNCHRONOUS_IO != 200112L/_POSIX_ASYNCHRONOUS_IO < 200112L/'
mv unpacking posixtestsuite
