# Names for habits. The work is done by meson, and by the scripts in tools/.
#
# Under sudo everything is built as the user who called it; installing and testing is done as root.
AS := tools/as-caller
ROOT = [ "$$(id -u)" = 0 ] || { echo "$@ needs root: sudo make $@" >&2; exit 1; }

.DEFAULT_GOAL := help
.PHONY: help deps build demo check check-fast check-fresh asan lint fmt golden fuzz bench bench-api install clean
MAKEFLAGS += --no-print-directory --no-builtin-rules
export PYTHONDONTWRITEBYTECODE := 1

help: ## this list
	@echo "sudo make demo     the whole system on this machine, step by step; leaves nothing running"
	@echo "sudo make check    every test"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install the Debian packages that are missing (root); tools/deps --list shows them
	@tools/deps all

build: ## compile; the programs go to bin/
	@$(AS) tools/build build

demo: ## install, build, and run the story of lab/demo (root)
	@$(ROOT)
	@tools/deps build lab
	@$(AS) tools/build build
	@lab/demo

check: ## install, then every check and test; also the ASan+UBSan build (root, under 40 minutes)
	@$(ROOT)
	@tools/deps all
	@tools/check

check-fast: ## what needs neither root nor a network, in two minutes
	@tools/check --fast

check-fresh: ## a fresh Debian 12 in a chroot, from `make deps` to `make check-fast` (root)
	@$(ROOT)
	@tools/deps test
	@tools/check-fresh

asan: ## the ASan+UBSan build in build-asan/ and its fast suite; as root its root suite, too
	@$(AS) tools/build build-asan
	@tools/test build-asan fast
	@tools/test build-asan root

lint: ## clang-format, clang-tidy, shellcheck, direction of includes
	@$(AS) tools/build build
	@tools/check-deps
	@$(AS) tools/lint

fmt: ## lay the C out
	@$(AS) tools/lint --fix

golden: ## accept what the golden tests see now; read the diff before you commit it
	@$(AS) tools/build build
	@$(AS) env GOLDEN=accept tools/test build fast
	@git --no-pager diff --stat -- tests

fuzz: ## let each fuzz target look for FUZZ_SECONDS (60); new finds join its corpus
	@$(AS) tools/build build-fuzz
	@$(AS) tools/fuzz

bench: ## the benchmarks, on an optimised build of their own
	@$(AS) tools/build build-bench
	@meson test -C build-bench --no-rebuild --benchmark --verbose

bench-api: ## the controller under load; writes docs/benchmarks.md (wrk, two minutes or so)
	@$(AS) tools/build build-bench
	@bench/api.py build-bench/src/main/wayleave-controld catalogue --write docs/benchmarks.md

install: ## programs, units and data below /usr/local; DESTDIR is honoured
	@$(AS) tools/build build
	@meson install -C build --no-rebuild --quiet
	@chown --reference=build build/meson-logs/*

clean: ## remove what was built
	rm -rf bin build build-asan build-fuzz build-bench
