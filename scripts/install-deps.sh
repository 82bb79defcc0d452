#!/bin/sh
# Installs with apt what Sluice is built and tested with, on Debian 12 and 13.
#
#   scripts/install-deps.sh [build] [test] [kafka] [ci]     default: build
#
# build: compiler and libraries. test: what the tests use. kafka: Java and Maven, where they are missing. ci: clang for
# the fuzzers, ccache. With everything there it costs one dpkg-query; otherwise it needs root or sudo.
# GW_SKIP_DEPS=1: does nothing, for machines without apt whose owner has installed the lot.
set -eu

[ "${GW_SKIP_DEPS:-}" != 1 ] || exit 0
[ $# -gt 0 ] || set -- build

has() { command -v "$1" >/dev/null 2>&1; }

# Debian's clang and its runtime carry the same number.
clang_runtime() {
    case $(. /etc/os-release 2>/dev/null; echo "${VERSION_ID:-}") in
    12) echo libclang-rt-14-dev ;;
    *) echo libclang-rt-19-dev ;;
    esac
}

packages=
for group in "$@"; do
    case $group in
    build)
        packages="$packages build-essential cmake ninja-build pkg-config librdkafka-dev libwebsockets-dev
            libwebsockets-evlib-uv libjson-c-dev libjwt-dev libssl-dev libuv1-dev libyaml-dev" ;;
    test)
        packages="$packages libcmocka-dev python3-pytest python3-websockets python3-confluent-kafka python3-yaml
            python3-jsonschema python3-jwt python3-requests python3-cryptography kcat openssl chromium"
        has node || packages="$packages nodejs npm" ;;
    kafka)
        packages="$packages ca-certificates python3-confluent-kafka"
        has java || packages="$packages default-jre-headless"
        has mvn || packages="$packages maven" ;;
    ci)
        packages="$packages clang lld llvm $(clang_runtime) ccache" ;;
    *)
        echo "install-deps.sh: no group '$group'; there are: build test kafka ci" >&2
        exit 2 ;;
    esac
done

if ! has dpkg-query || ! has apt-get; then
    echo "install-deps.sh: this is no Debian. Install the likes of these yourself and set GW_SKIP_DEPS=1:" $packages >&2
    exit 1
fi

# A package that is not known at all is left out of the answer, so names are compared, not counted.
there=" $(dpkg-query -W -f='${db:Status-Status}/${Package} ' $packages 2>/dev/null || true)"
missing=
for package in $packages; do
    case $there in
    *" installed/$package "*) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
    if ! has sudo; then
        echo "install-deps.sh: not root, and there is no sudo. Run this as root, then try again:" >&2
        echo "    apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
    sudo=sudo
fi

echo "install-deps.sh: installing$missing" >&2
apt="$sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300"
$apt update >&2 || echo "install-deps.sh: apt-get update failed, going on with the lists that are there" >&2
if ! $apt install -y --no-install-recommends $missing >&2; then
    echo "install-deps.sh: apt-get could not install:$missing" >&2
    exit 1
fi
