"""Measures python3-jsonpatch for tests/bench/run diff, as measure.js does the others.

    measure.py BEFORE AFTER SECONDS
"""

import json
import pathlib
import statistics
import sys
import time

import jsonpatch


def main():
    before, after = (pathlib.Path(path).read_bytes() for path in sys.argv[1:3])
    end = time.process_time() + float(sys.argv[3])
    times_us = []
    while not times_us or time.process_time() < end:
        start = time.process_time()
        patch = jsonpatch.make_patch(json.loads(before), json.loads(after))
        text = json.dumps(patch.patch, separators=(",", ":"))
        times_us.append((time.process_time() - start) * 1e6)
    print(json.dumps({"us": statistics.median(times_us), "bytes": len(text)}))


main()
