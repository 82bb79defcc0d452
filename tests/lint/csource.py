"""Reading C well enough for the lints: text with comments and literals blanked out, line numbers kept."""
import os
import re

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def blank(text, keep_strings=False):
    """Comments (and string and character literals) become spaces; every newline stays where it is."""
    def replace(found):
        token = found.group(0)
        if keep_strings and token[0] in "\"'":
            return token
        return re.sub(r"[^\n]", " ", token)
    return TOKEN.sub(replace, text)


def blank_directives(text):
    """Preprocessor lines, continuation lines too, become empty: their braces need not balance."""
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.M)


def files(*folders, ends=(".c", ".h")):
    """Paths relative to the root, sorted."""
    found = []
    for folder in folders:
        for where, _, names in os.walk(os.path.join(ROOT, folder)):
            found += [os.path.relpath(os.path.join(where, n), ROOT) for n in names if n.endswith(ends)]
    return sorted(found)


def finish(name, faults, checked, what):
    """Prints the verdict; the exit code. Having checked nothing is a fault of its own."""
    for fault in faults:
        print(fault)
    if not checked:
        print(f"{name}: checked nothing: the lint looks in the wrong place")
        return 1
    print(f"{name}: {checked} {what} checked, {len(faults)} faults")
    return 1 if faults else 0
