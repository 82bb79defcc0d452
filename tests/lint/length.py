#!/usr/bin/python3
"""Length: no function over 70 lines anywhere, no .c file of gateway/ or bench/ over 500; files over 450 are warned about.

A function is a '{' at the outermost level that follows a ')'; it is counted from the first line of its signature to
its closing brace.
"""
import re
import sys

import csource

FUNCTION_LINES, FILE_LINES, FILE_WARN = 70, 500, 450


def functions(text):
    """(name, first line, last line) of each function definition in blanked text."""
    depth, start, head_end = 0, 0, None
    for found in re.finditer(r"[{};]", text):
        char, at = found.group(0), found.start()
        if char == "{":
            if depth == 0 and re.search(r"\)\s*(?:\w+\s*)*$", text[start:at]):
                head_end = at
            depth += 1
        elif char == "}":
            depth -= 1
            if depth < 0:
                raise ValueError(f"unbalanced '}}' in line {line_of(text, at)}")
            if depth == 0:
                if head_end is not None:
                    first = start + len(text[start:head_end]) - len(text[start:head_end].lstrip())
                    yield name_in(text[start:head_end]), line_of(text, first), line_of(text, at)
                start, head_end = at + 1, None
        elif depth == 0:
            start = at + 1
    if depth:
        raise ValueError("unbalanced '{'")


def name_in(head):
    found = re.search(r"(\w+)\s*\(", head)
    return found.group(1) if found else "?"


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def main():
    faults, checked, longest = [], 0, (0, "none")
    for path in csource.files("gateway", "bench", "tests", ends=(".c",)):
        raw = csource.read(path)
        lines = raw.count("\n")
        ours = path.startswith(("gateway/", "bench/"))
        if ours and lines > FILE_LINES:
            faults.append(f"{path}:{lines}: file has {lines} lines, limit {FILE_LINES}")
        elif ours and lines > FILE_WARN:
            print(f"{path}:{lines}: warning: file has {lines} lines")
        try:
            for name, first, last in functions(csource.blank_directives(csource.blank(raw))):
                checked += 1
                size = last - first + 1
                longest = max(longest, (size, f"{name} in {path}"))
                if size > FUNCTION_LINES:
                    faults.append(f"{path}:{first}: {name} has {size} lines, limit {FUNCTION_LINES}")
        except ValueError as why:
            faults.append(f"{path}:1: cannot read: {why}")
    print(f"longest: {longest[1]}, {longest[0]} lines")
    return csource.finish("length", faults, checked, "functions")


if __name__ == "__main__":
    sys.exit(main())
