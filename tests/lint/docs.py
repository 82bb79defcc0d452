#!/usr/bin/python3
"""Docs: every row of the tables in include/gw/tbl is named on the page that it belongs to."""
import os
import re
import sys

import csource

PAGES = {"config.def": "docs/configuration.md", "metrics.def": "docs/metrics.md", "close.def": "docs/protocol.md", "errors.def": "docs/protocol.md"}
# What a row is called outside: its first text, or (close codes) its number. GW_DYNAMIC rows have no id before the name.
ROW = re.compile(r'GW_[A-Z_]+\s*\(\s*(?:\w[\w#]*\s*,\s*)?(?:"([^"]+)"|(\d+))')


def rows(table):
    """(line, name or None) of every row; a row starts a line or follows a #define's continuation."""
    text = csource.blank(csource.read(table), keep_strings=True)
    for found in re.finditer(r"^[ \t]*(?=GW_[A-Z_]+\s*\()", text, re.M):
        row = ROW.match(text, found.end())
        yield text.count("\n", 0, found.end()) + 1, row and (row.group(1) or row.group(2))


def named(name, page):
    return re.search(rf"(?<![\w.]){re.escape(name)}(?![\w]|\.\w)", page) is not None


def main():
    faults, checked = [], 0
    for table, page in PAGES.items():
        source = f"include/gw/tbl/{table}"
        have = os.path.isfile(os.path.join(csource.ROOT, page))
        if not have:
            faults.append(f"{page}:1: is not there, and {source} must be documented in it")
        text = csource.read(page) if have else ""
        seen = 0
        for line, name in rows(source):
            seen += 1
            if name is None:
                faults.append(f"{source}:{line}: row not understood by tests/lint/docs.py")
            elif have and not named(name, text):
                faults.append(f"{source}:{line}: {name} is not named in {page}")
        if not seen:
            faults.append(f"{source}:1: no rows found")
        checked += seen
    return csource.finish("docs", faults, checked, "rows")


if __name__ == "__main__":
    sys.exit(main())
