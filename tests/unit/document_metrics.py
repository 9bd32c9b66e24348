#!/usr/bin/env python3
"""Whether docs/metrics.md says what common/metrics_table.h does; --write makes it so.

    tests/unit/document_metrics.py build/tests/unit/describe_metrics [--write]
"""

import pathlib
import subprocess
import sys

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/metrics.md"
BEGIN = "<!-- from common/metrics_table.h, by tests/unit/document_metrics.py -->\n"
END = "<!-- to here -->\n"


def main(describe, *options):
    tables = subprocess.run([describe], check=True, capture_output=True, text=True).stdout
    page = PAGE.read_text()
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin and end, f"{PAGE} has lost the lines that mark its tables"
    wanted = before + begin + "\n" + tables + "\n" + end + after
    if options == ("--write",):
        PAGE.write_text(wanted)
    elif page != wanted:
        sys.exit(
            f"{PAGE} differs from the table; write it anew: {sys.argv[0]} {describe} --write"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
