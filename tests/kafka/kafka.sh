#!/bin/sh
# A real Apache Kafka on loopback: kafka.sh start [--nodes 3] [--kafka 3.9] [--set key=value]... | kafka.sh fetch
# All of it is in tests/e2e/lib/kafka.py; this finds Debian's python, the one with the apt modules.
here=$(dirname "$(readlink -f "$0")")
exec "${GW_PYTHON:-/usr/bin/python3}" "$here/../e2e/lib/kafka.py" "$@"
