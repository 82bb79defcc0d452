# Sluice: the usual jobs. All of them install what they need (scripts/install-deps.sh) and are quick the second time.
LISTEN ?= 127.0.0.1:8080
FUZZ_SECONDS ?= 60
CTEST_FLAGS ?=
JOBS ?= 2
# The pages that come from the tables in include/gw/tbl.
DOCS ?= configuration metrics

.PHONY: help run build test bench fuzz asan tsan docs clean FORCE
.DEFAULT_GOAL := help

help:
	@echo 'make run      build and start the gateway in development mode on LISTEN=$(LISTEN)'
	@echo 'make build    build/sluice'
	@echo 'make test     all tests: unit, lint, end-to-end (real Kafka where it is to be had), browser'
	@echo 'make asan     unit and embedded end-to-end tests with the address and undefined-behaviour sanitizers'
	@echo 'make tsan     unit tests and the load smoke with the thread sanitizer'
	@echo 'make fuzz     every fuzzer for FUZZ_SECONDS=$(FUZZ_SECONDS)'
	@echo 'make bench    the benchmarks: bench/run.sh'
	@echo 'make docs     docs that come from tables: $(DOCS)'
	@echo 'make clean    removes the build directories'

# Tests need more packages than the gateway: they are configured by `make test`.
build/build.ninja:
	@scripts/install-deps.sh build
	cmake --preset default -DGW_TESTS=OFF

build: build/build.ninja
	@scripts/install-deps.sh build
	cmake --build build --target sluice

run: build
	@exec build/sluice --dev --listen $(LISTEN)

# The end of the output is ctest's own summary.
test:
	@scripts/install-deps.sh build test kafka
	@grep -qs '^GW_TESTS:BOOL=ON' build/CMakeCache.txt || cmake --preset default -DGW_TESTS=ON
	cmake --build build
	@ctest --test-dir build --output-on-failure -j$(JOBS) $(CTEST_FLAGS)

asan:
	@scripts/install-deps.sh build test
	@test -f build-asan/build.ninja || cmake --preset asan
	cmake --build build-asan
	@ctest --test-dir build-asan --output-on-failure -j$(JOBS) -R '^(unit/|e2e/embedded)' $(CTEST_FLAGS)

# Debian's libraries are not instrumented: only what the project's own code does is judged.
tsan: export TSAN_OPTIONS ?= suppressions=$(CURDIR)/tests/tsan.supp ignore_noninstrumented_modules=1 second_deadlock_stack=1
tsan:
	@scripts/install-deps.sh build test
	@test -f build-tsan/build.ninja || cmake --preset tsan
	cmake --build build-tsan
	@ctest --test-dir build-tsan --output-on-failure -j$(JOBS) -R '^unit/' $(CTEST_FLAGS)
	@SLUICE_BIN=build-tsan/sluice /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/e2e/test_load_smoke.py $(PYTEST_FLAGS)

fuzz:
	@scripts/install-deps.sh build ci
	@scripts/fuzz.sh $(FUZZ_SECONDS)

bench:
	@scripts/install-deps.sh build
	@bench/run.sh

docs: $(DOCS:%=docs/%.md)

docs/%.md: build FORCE
	@build/sluice --print-docs $* > $@.part && mv $@.part $@

clean:
	rm -rf build build-asan build-tsan build-fuzz build-release
