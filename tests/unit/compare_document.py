#!/usr/bin/env python3
"""Compares the document scanner's verdicts with those of a second strict parser.

    compare_document.py JUDGE [COUNT [SEED]]

JUDGE is the program made of judge_document.c. The second opinion is Python's json, which
is lenient in places; those are closed here: UTF-8 decoded strictly, no NaN or Infinity, no
duplicate names, no lone surrogates, no byte order mark, a depth of 512.
"""

import json
import random
import re
import struct
import subprocess
import sys

DEPTH_MAX = 512
BATCH = 2000

SEEDS = [
    b'null', b'true', b'-0.5e+10', b'""', b'[]', b'{}', b' [ 1 , 2 ] ',
    b'{"a":{"b":[1,2.5,-3e7,true,false,null,"x"]},"c":"\\u00e9\\n\\\\","\xc3\xa9":[]}',
    b'["\\ud83d\\ude00","\xf0\x9f\x98\x80","\\u0000","\\/\\b\\f\\n\\r\\t\\""]',
    b'[{"id":1,"name":"a"},{"id":2,"name":"b"},{"id":3,"name":"c"}]',
    b'{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"\\u006a":10,"k":11}',
    b'{\n  "servers": [\n    {\n      "id": "abc",\n      "load": 0.25\n    }\n  ]\n}\n',
    b'["0123456789abcdef0123456789abcdef","\xe4\xb8\xad\xe6\x96\x87\xe5\xad\x97"]',
    b'[123456789012345678901234567890,1e400,-0,0.1]',
    b'[' * 511 + b'0' + b']' * 511, b'{"a":[' * 256 + b'0' + b']}' * 256,
]

PIECES = [
    b'"', b'\\', b'\\u', b'\\ud800', b'\\udc00', b'\\uDBFF\\uDFFF', b'\\u0061', b'\\n', b'\\x',
    b'{', b'}', b'[', b']', b':', b',', b' ', b'\t', b'\n', b'\r', b'\x0b', b'\x0c', b'\x00',
    b'0', b'1', b'-', b'+', b'.', b'e', b'E', b'e5', b'1.0', b'00', b'-0', b'null', b'true',
    b'false', b'NaN', b'Infinity', b'-Infinity', b'"a"', b'"a":', b'"a":1,', b'"\\u0061":1,',
    b'[]', b'{}', b'\x80', b'\xbf', b'\xc0\x80', b'\xc2\x80', b'\xe0\x80\x80', b'\xe0\xa0\x80',
    b'\xed\xa0\x80', b'\xed\x9f\xbf', b'\xef\xbb\xbf', b'\xf0\x8f\xbf\xbf', b'\xf0\x90\x80\x80',
    b'\xf4\x8f\xbf\xbf', b'\xf4\x90\x80\x80', b'\xf5', b'\xff', b'\x7f', b'\x1f', b'\xc2\xa0',
    b'//', b'/**/', b"'", b'[' * 511, b'[' * 512, b']' * 512, b'abcdefghijklmnopqrstuvwxyz',
]


def refuse(*_):
    raise ValueError


def no_duplicates(pairs):
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError
    return dict(pairs)


def depth_of(text):
    """Of a document known to be well-formed."""
    depth = deepest = 0
    for token in re.findall(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text):
        if token in '[{':
            depth += 1
            deepest = max(deepest, depth)
        elif token in ']}':
            depth -= 1
    return deepest


def accepts(document):
    try:
        text = document.decode('utf-8', 'strict')
        if text.startswith('\ufeff'):
            return False
        # Numbers stay text: their size must not decide.
        value = json.loads(text, strict=True, parse_constant=refuse, parse_int=str,
                           parse_float=str, object_pairs_hook=no_duplicates)
        # Fails on surrogates that are left over.
        json.dumps(value, ensure_ascii=False).encode('utf-8', 'strict')
    except (ValueError, RecursionError):
        return False
    return depth_of(text) <= DEPTH_MAX


def mutate(rng, document):
    document = bytearray(document)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3, 5))):
        at = rng.randrange(len(document) + 1)
        to = min(len(document), at + rng.choice((0, 0, 1, 1, 2, 5)))
        kind = rng.random()
        if kind < 0.5:
            document[at:to] = rng.choice(PIECES)
        elif kind < 0.6:
            document[at:to] = bytes([rng.randrange(256)])
        elif kind < 0.8:
            document[at:to] = b''
        else:
            # A copy of another part: duplicates, nesting, doubled commas.
            start = rng.randrange(len(document) + 1)
            document[at:to] = document[start:start + rng.randrange(1, 16)]
    return bytes(document)


def judge(program, documents):
    sent = b''.join(struct.pack('<I', len(one)) + one for one in documents)
    answer = subprocess.run([program], input=sent, stdout=subprocess.PIPE, check=True).stdout
    assert len(answer) == len(documents)
    return answer


def main():
    program = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 20000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 32)
    rng = random.Random(seed)
    accepted = wrong = 0
    # Above the deepest document made here, so that only our own limit decides.
    sys.setrecursionlimit(100000)
    print(f'compare_document: {count} documents, seed {seed}', flush=True)
    for done in range(0, count, BATCH):
        documents = [mutate(rng, rng.choice(SEEDS)) for _ in range(min(BATCH, count - done))]
        for document, answer in zip(documents, judge(program, documents)):
            expected = accepts(document)
            accepted += expected
            if expected != (answer == 0):
                wrong += 1
                print(f'expected {"accept" if expected else "refuse"}, judged {answer}: '
                      f'{document[:400]!r}')
    print(f'compare_document: {accepted} of {count} accepted, {wrong} verdicts differ')
    # Documents that are all refused, or all accepted, would prove little.
    return 1 if wrong or not count * 0.05 < accepted < count * 0.95 else 0


if __name__ == '__main__':
    sys.exit(main())
