#!/usr/bin/env python3
"""Makes log_subsystems.h: the names of all source files of both programs that log.

Takes the root of the source, the header and a depfile: another file, or one that begins to
log, makes it anew.
"""

import json
import pathlib
import re
import sys

LOGS = re.compile(r"\blog_(error|warn|info|debug)\(")


def main() -> None:
    root, output, depfile = map(pathlib.Path, sys.argv[1:])
    read, names = [], []
    for directory in ("common", "gateway", "poller"):
        sources = sorted((root / directory).glob("*.c"))
        read += [root / directory / "meson.build", *sources]
        names += [path.stem for path in sources if LOGS.search(path.read_text())]
    names.sort()
    lines = [
        "#pragma once",
        "",
        f"#define LOG_SUBSYSTEMS {json.dumps(', '.join(names))}",
    ]
    lines += ["#ifdef LOG_SUBSYSTEMS_EACH"]
    lines += ["static const char *const log_subsystem_names[] = {"]
    lines += [f"\t{json.dumps(name)}," for name in names]
    lines += ["};", "#endif", ""]
    text = "\n".join(lines)
    if not output.exists() or output.read_text() != text:  # else nothing is built anew
        output.write_text(text)
    paths = " ".join(str(path).replace(" ", "\\ ") for path in read)
    depfile.write_text(f"{output.name}: {paths}\n")


if __name__ == "__main__":
    main()
