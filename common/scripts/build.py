#!/usr/bin/env python3
"""Makes redis_scripts.h of the .lua files: an enum, and each script behind the prelude.

The prelude's key names come from KEYS_EACH in common/keys.h, so that they stand once. A
script's first line may be `#!lua flags=…`; Redis wants it as the first line of the text.
"""

import hashlib
import json
import pathlib
import re
import sys


def prelude(keys_header: str) -> str:
    names = re.findall(r'KEY\(KEYS_\w+, (\w+), "([^"]*)"\)', keys_header)
    keys = ", ".join(f"{name} = KEYS[1]..{json.dumps(text)}" for name, text in names)
    return f"local key = {{{keys}}}\n"


def with_prelude(script: str, head: str) -> str:
    if not script.startswith("#!"):
        return head + script
    flags, rest = script.split("\n", 1)
    return f"{flags}\n{head}{rest}"


def main() -> None:
    keys_header, prelude_path, output, *paths = map(pathlib.Path, sys.argv[1:])
    head = prelude(keys_header.read_text()) + prelude_path.read_text()
    paths.sort(key=lambda path: path.stem)

    lines = ["#pragma once", "", "enum redis_script {"]
    lines += [f"\tREDIS_SCRIPT_{path.stem.upper()}," for path in paths]
    lines += ["\tREDIS_SCRIPT_COUNT", "};", ""]
    lines += ["struct redis_script_text {", "\tconst char *name;", "\tconst char *sha1;"]
    lines += ["\tconst char *text;", "};", ""]
    lines += ["#ifdef REDIS_SCRIPTS_TEXT"]
    lines += ["static const struct redis_script_text redis_script_texts[] = {"]
    for path in paths:
        text = with_prelude(path.read_text(), head)
        sha1 = hashlib.sha1(text.encode()).hexdigest()
        lines += [f'\t{{"{path.stem}", "{sha1}",']
        lines += [f"\t\t{json.dumps(line + chr(10))}" for line in text.splitlines()]
        lines += ["\t},"]
    lines += ["};", "#endif", ""]
    output.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
