#!/usr/bin/env python3
"""Makes what a browser is served: see --help of its commands.

install  puts the npm packages that package-lock.json names into node_modules, where that
         has not been done for this lock file, and says in one line why it could not be.
bundle   bundles the browser's data layer and the dashboard with esbuild, and writes all
         files, plain and compressed, into a C file; without node_modules it writes one
         that says what is missing.
"""

import argparse
import fcntl
import gzip
import hashlib
import json
import pathlib
import subprocess
import sys

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
BYTES_A_LINE = 4096


# ---- install ----


def why_not(command, lock):
    """Runs npm; what it said, in a line, where it failed."""
    try:
        done = subprocess.run(
            command, cwd=lock.parent, capture_output=True, text=True, timeout=600
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    lines = (done.stderr or done.stdout).strip().splitlines()
    told = [line for line in lines if "failed" in line] or lines
    return told[0].strip() if told else f"npm ended with status {done.returncode}"


def is_installed(lock):
    """Whether node_modules, by npm's own note of it, is what the lock file names."""
    note = lock.parent / "node_modules/.package-lock.json"
    if not note.exists():
        return False
    wanted = json.loads(lock.read_text())["packages"]
    found = json.loads(note.read_text())["packages"]
    # Optional ones are for other platforms, and "" is ourselves.
    return all(
        found.get(path, {}).get("version") == package["version"]
        for path, package in wanted.items()
        if path and not package.get("optional")
    )


def install(arguments):
    lock = arguments.lock
    command = [arguments.npm, "ci", "--ignore-scripts", "--prefer-offline"]
    # A network that swallows everything must not hold the build up for long.
    command += ["--no-audit", "--no-fund", "--fetch-timeout=20000", "--fetch-retries=1"]
    # Several build directories share node_modules, and may be set up at once.
    with open(lock) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        wrong = None if is_installed(lock) else why_not(command, lock)
    if wrong is None:
        return 0
    print(wrong)
    return 1


# ---- bundle ----


def esbuild(web, output, entry):
    """Bundles @entry; returns the paths of the files it was made of."""
    meta = output.with_name(output.name + ".json")
    command = [web / "node_modules/.bin/esbuild", entry]
    command += ["--bundle", "--minify", "--format=esm", "--target=es2022"]
    command += ["--legal-comments=eof", "--charset=utf8", "--log-level=warning"]
    command += [f"--outfile={output}", f"--metafile={meta}"]
    subprocess.run(command, cwd=web, check=True)
    inputs = json.loads(meta.read_text())["inputs"]
    return [web / path for path in inputs]


def packages_of(paths):
    """The npm packages that files at @paths belong to: directories, sorted."""
    found = set()
    for path in paths:
        parts = path.parts
        if "node_modules" in parts:
            at = len(parts) - 1 - parts[::-1].index("node_modules")
            length = 3 if parts[at + 1].startswith("@") else 2
            found.add(pathlib.Path(*parts[: at + length]))
    return sorted(found)


def licences(paths):
    """What the licences of bundled packages want to go with them."""
    texts = []
    for package in packages_of(paths):
        told = json.loads((package / "package.json").read_text())
        name = f"{told['name']} {told['version']} ({told.get('license', 'no licence')})"
        files = sorted(package.glob("LICEN[SC]E*"))
        text = files[0].read_text() if files else ""
        texts.append(f"{name}\n{'-' * len(name)}\n\n{text.strip()}\n")
    return "\n\n".join(texts).encode()


def make_files(web, scratch):
    """What is served, by path: suffix and content; and the files it was made of."""
    scratch.mkdir(parents=True, exist_ok=True)
    dashboard = web / "dashboard"
    names = ["uricast.js", "dashboard.js", "dashboard.css"]
    entries = [
        web / "client/uricast.js",
        dashboard / "main.js",
        dashboard / "style.css",
    ]
    inputs = [dashboard / "index.html", dashboard / "icon.svg"]
    for name, entry in zip(names, entries):
        inputs += esbuild(web, scratch / name, entry)
    files = {
        "/": (".html", (dashboard / "index.html").read_bytes()),
        "/uricast.js": (".js", (scratch / "uricast.js").read_bytes()),
        "/assets/dashboard.js": (".js", (scratch / "dashboard.js").read_bytes()),
        "/assets/dashboard.css": (".css", (scratch / "dashboard.css").read_bytes()),
        "/assets/icon.svg": (".svg", (dashboard / "icon.svg").read_bytes()),
        "/assets/licences.txt": (".txt", licences(inputs)),
    }
    return files, inputs


def c_array(name, content):
    lines = [f"static const unsigned char {name}[] ="]
    for start in range(0, len(content), BYTES_A_LINE):
        piece = content[start : start + BYTES_A_LINE]
        lines.append('\t"' + "".join(f"\\x{byte:02x}" for byte in piece) + '"')
    lines[-1] += ";"
    return lines


def c_bytes(name, content):
    return f"{{(const char *){name}, {len(content)}}}"


def source_of(files):
    lines, entries = ['#include "gateway/assets_embedded.h"', ""], []
    for number, (path, (suffix, content)) in enumerate(sorted(files.items())):
        packed = gzip.compress(content, 9, mtime=0)
        forms = {f"plain{number}": content}
        if len(packed) < len(content):
            forms[f"gzipped{number}"] = packed
        for name, form in forms.items():
            lines += c_array(name, form)
        tag = hashlib.sha256(content).hexdigest()[:20]
        written = [c_bytes(name, form) for name, form in forms.items()]
        written += ["{0}"] * (2 - len(written))
        entries.append(f'\t{{"{path}", "{TYPES[suffix]}", "{tag}",')
        entries.append(f"\t\t{written[0]}, {written[1]}}},")
    lines += ["", "const struct asset assets_embedded[] = {", *entries, "};", ""]
    lines += [f"const size_t assets_embedded_count = {len(files)};"]
    lines += ["const char *const assets_embedded_missing = NULL;", ""]
    return "\n".join(lines)


def empty_source(missing):
    lines = ['#include "gateway/assets_embedded.h"', ""]
    lines += ["const struct asset assets_embedded[1];"]
    lines += ["const size_t assets_embedded_count = 0;"]
    text = json.dumps(missing)
    lines += [f"const char *const assets_embedded_missing = {text};", ""]
    return "\n".join(lines)


def bundle(arguments):
    output = arguments.output.resolve()
    if arguments.missing:
        output.write_text(empty_source(arguments.missing))
        arguments.depfile.write_text("")
        return 0
    web = pathlib.Path(__file__).resolve().parent
    try:
        files, inputs = make_files(web, output.parent / "assets")
    except subprocess.CalledProcessError:
        return 1  # esbuild has said why
    output.write_text(source_of(files))
    paths = " ".join(str(path).replace(" ", "\\ ") for path in inputs)
    arguments.depfile.write_text(f"{output.name}: {paths}\n")
    return 0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("install")
    command.add_argument("npm")
    command.add_argument("lock", type=pathlib.Path)
    command.set_defaults(run=install)
    command = commands.add_parser("bundle")
    command.add_argument("--missing", default="", help="why there is nothing to bundle")
    command.add_argument("output", type=pathlib.Path)
    command.add_argument("depfile", type=pathlib.Path)
    command.set_defaults(run=bundle)
    arguments = parser.parse_args()
    sys.exit(arguments.run(arguments))


if __name__ == "__main__":
    main()
