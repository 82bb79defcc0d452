#!/usr/bin/python3
"""Layering: base < model < config < route, auth < hub < kafka < net < app.

A source or header includes headers of its own room and of lower rooms; route and auth do not know each other. Headers
of include/gw belong to the room that HEADERS or their name says, or that has the .c file of that name (or <name>_*.c);
one that belongs nowhere is a fault. A room's private headers (gateway/<room>/*.h) are for that room alone. A library's
types stay in the rooms of LIBRARIES.
"""
import os
import re
import sys

import csource

RANK = {"base": 0, "model": 1, "config": 2, "route": 3, "auth": 3, "hub": 4, "kafka": 5, "net": 6, "app": 7}
HEADERS = {"json_inner.h": "base", "action.h": "route", "metrics.h": "base", "rooms.h": "hub"}  # what names alone do not tell
LIBRARIES = {"librdkafka/": {"kafka"}, "libwebsockets.h": {"net"}, "yaml.h": {"config"}, "jwt.h": {"auth"},
             "json-c/": {"kafka"}}  # json-c: librdkafka's statistics; see docs/decisions
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.M)


def room_of_source(path):
    parts = path.split("/")
    return parts[1] if len(parts) > 2 else "app"  # gateway/main.c and gateway/app.c know everything


def header_rooms(sources, faults):
    """name -> room, for every header in include/gw."""
    homes = {}
    for path in sources:
        if path.endswith(".c"):
            homes.setdefault(os.path.basename(path)[:-2], set()).add(room_of_source(path))
    rooms = {}
    for path in csource.files("include/gw", ends=(".h",)):
        name = os.path.relpath(path, "include/gw")
        stem, found = name[:-2], None
        having = homes.get(stem) or {room for source, where in homes.items() if source.startswith(stem + "_") for room in where}
        if name in HEADERS:
            found = HEADERS[name]
        elif stem in RANK:
            found = stem
        elif len(having) == 1:
            found = next(iter(having))
        elif having:
            faults.append(f"{path}:1: {stem}.c is in {' and '.join(sorted(having))}: name the header's room in tests/lint/layering.py")
        else:
            faults.append(f"{path}:1: no room: no gateway/*/{stem}.c; name its room in tests/lint/layering.py")
        if found:
            rooms[name] = found
    for name in sorted(set(HEADERS) - {os.path.relpath(p, "include/gw") for p in csource.files("include/gw")}):
        faults.append(f"tests/lint/layering.py:1: HEADERS names {name}, which is not in include/gw")
    return rooms


def own_header(path, target):
    beside = os.path.normpath(os.path.join(os.path.dirname(path), target))
    return "/" not in target and os.path.isfile(os.path.join(csource.ROOT, beside))


def may(room, other):
    return other == room or RANK[other] < RANK[room]


def check_include(path, room, kind, target, rooms):
    """The fault's text, or None."""
    for library, allowed in LIBRARIES.items():
        if target.startswith(library) if library.endswith("/") else target == library:
            return None if room in allowed else f"{library} belongs to {', '.join(sorted(allowed))}, not to {room}"
    if kind == "<":
        return None
    if target.startswith("gw/tbl/"):
        return None  # tables are data and belong to all
    if target.startswith("gw/"):
        other = rooms.get(target[3:])
        if other is None:
            return f"{target} does not exist or has no room"
        return None if may(room, other) else f"{room} must not include {target} of {other}"
    return None if own_header(path, target) else f"\"{target}\" is neither gw/... nor a header of this folder"


def main():
    sources = csource.files("gateway")
    faults = []
    rooms = header_rooms(sources, faults)
    todo = [(p, room_of_source(p)) for p in sources] + [(f"include/gw/{n}", r) for n, r in sorted(rooms.items())]
    checked = 0
    for path, room in todo:
        if room not in RANK:
            faults.append(f"{path}:1: gateway/{room} is no room of the layering")
            continue
        text = csource.blank(csource.read(path), keep_strings=True)
        for found in INCLUDE.finditer(text):
            checked += 1
            fault = check_include(path, room, found.group(1), found.group(2), rooms)
            if fault:
                faults.append(f"{path}:{text.count(chr(10), 0, found.start(2)) + 1}: {fault}")
    return csource.finish("layering", faults, checked, "includes")


if __name__ == "__main__":
    sys.exit(main())
