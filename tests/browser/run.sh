#!/bin/sh
# Runs the browser tests; installs their one dependency first where it is missing or stale.
#
# SLUICE_BIN  the gateway (default: build/sluice)         CHROMIUM  the browser (default: /usr/bin/chromium)
# GW_REQUIRE_BROWSER=1  what cannot run is a failure; else it is skipped by name, and the exit code is 77.
set -eu
cd "$(dirname "$0")"

missing=
command -v node >/dev/null || missing="no node"
[ -n "$missing" ] || [ -x "${CHROMIUM:-/usr/bin/chromium}" ] || missing="no chromium"
[ -n "$missing" ] || command -v kcat >/dev/null || missing="no kcat"

if [ -z "$missing" ] && { [ ! -d node_modules/playwright-core ] || [ package-lock.json -nt node_modules/.package-lock.json ]; }; then
  npm ci --no-audit --no-fund || missing="playwright-core could not be installed"
fi
if [ -n "$missing" ]; then
  echo "browser tests: $missing" >&2
  [ "${GW_REQUIRE_BROWSER:-0}" != 1 ] || exit 1
fi
command -v node >/dev/null || exit 77

node --test
[ -z "$missing" ] || exit 77
