#!/bin/sh
# Runs the JSON scanner against the public suite; fetches it first where a registry is in reach. 77: skipped.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
if ! "$here/scripts/json-suite.sh" "$SUITE_DIR" >/dev/null 2>&1; then
    echo "SKIP: the public JSON suite is not to be had here (scripts/json-suite.sh)"
    exit 77
fi
exec "$1" "$SUITE_DIR"
