# SPDX-License-Identifier: BSL-1.0
# The short commands. Everything real is in CMakeLists.txt and CMakePresets.json; this file only strings presets together.
#
#   make run      install what is missing, build, compare the models on a server with a thread per connection
#   make test     install what is missing, build, run every test: release, ASan+UBSan, TSan, and the clang build
#   make build    build the release preset          make check    the quick tests only
#   make bench    native against Weft, into docs/benchmarks.md; the C++ library against its rivals, into docs/benchmarks-library.md
#   make conformance [SUBSET=REGEX]  the Open POSIX test suite, natively and under each model, into docs/conformance.md
#   make docs     the C++ library's reference, by doxygen, into build/release/docs/html
#   make install PREFIX=/usr/local                  make clean

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.PHONY: build run test check bench conformance docs install clean deps test-deps bench-deps conformance-deps docs-deps release-tests asan-tests tsan-tests clang-build

PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
CONNECTIONS ?= 2000
REQUESTS ?= 20
CONFORMANCE_JOBS ?= $(shell expr 4 '*' $$(nproc))

# ThreadSanitizer of gcc 12 knows the address space as it is laid out without much randomness, so switch that off where we may.
NO_ASLR = $$(setarch -R true 2>/dev/null && echo setarch -R || true)

define build_preset
	@command -v cmake >/dev/null && command -v ninja >/dev/null || { echo "make: cmake or ninja is missing: run scripts/install-deps.sh" >&2; exit 1; }
	log=$$(mktemp)
	cmake --preset $(1) >"$$log" 2>&1 || { cat "$$log" >&2; rm -f "$$log"; exit 1; }
	rm -f "$$log"
	cmake --build --preset $(1) -j $(JOBS)
endef

build:
	$(call build_preset,release)

deps:
	@scripts/install-deps.sh build

test-deps:
	@scripts/install-deps.sh test

run: deps
	$(call build_preset,release)
	build/release/weft compare -- build/release/examples/connections --connections $(CONNECTIONS) --requests $(REQUESTS)

test: test-deps
	@$(MAKE) --no-print-directory release-tests
	$(MAKE) --no-print-directory asan-tests
	$(MAKE) --no-print-directory tsan-tests
	$(MAKE) --no-print-directory clang-build
	echo "make test: everything passed"

release-tests:
	$(call build_preset,release)
	ctest --preset release --no-tests=error

asan-tests:
	$(call build_preset,asan)
	ctest --preset asan --no-tests=error

tsan-tests:
	$(call build_preset,tsan)
	$(NO_ASLR) ctest --preset tsan --no-tests=error

clang-build:
	$(call build_preset,clang)

check:
	$(call build_preset,release)
	ctest --preset release --no-tests=error -LE 'programs|stress|faults|consumers' -j $(JOBS)

# Without rivals there are fewer columns, that is all.
bench-deps:
	@scripts/install-deps.sh bench || echo "make: going on without the rivals that are missing" >&2

bench: deps bench-deps
	$(call build_preset,release)
	status=0
	python3 bench/run.py || status=1
	python3 bench/library.py || status=1
	exit $$status

conformance-deps:
	@scripts/install-deps.sh conformance

conformance: conformance-deps
	$(call build_preset,release)
	nice python3 tests/conformance/run.py --jobs $(CONFORMANCE_JOBS) $(if $(SUBSET),--subset '$(SUBSET)')

docs-deps:
	@scripts/install-deps.sh docs

docs: docs-deps
	@cmake --preset release >/dev/null
	cmake --build --preset release --target docs

install: build
	cmake --install build/release --prefix "$(PREFIX)"

clean:
	rm -rf build
