#!/usr/bin/env python3
"""Random pairs of documents: what the patches made for them must hold true.

    property_diff.py MAKE_DIFF [COUNT [SEED]] [--node DIRECTORY]

MAKE_DIFF is the program made of make_diff.c. Applied by python3-jsonpatch (and, with
--node, by fast-json-patch and rfc6902, which are installed into DIRECTORY if npm can),
a patch makes the new document of the old one, up to ignored parts, also where the old one
differs in ignored parts; equal documents have none; none is as large as the document.
"""

import argparse
import copy
import json
import os
import random
import shutil
import struct
import subprocess
import sys

import jsonpatch

BATCH = 1000
SHOWN = 3
LIBRARIES = {'fast-json-patch': '3.1.1', 'rfc6902': '5.1.2'}

# Not "-": jsonpatch 1.32 takes it for the end of an array in objects as well.
NAMES = ['id', 'uuid', 'name', 'status', 'a', 'b', 'c', '', 'a/b', '~', '~1', 'm~n/o', '0', '1',
         '*', ' ', '"', '\\', '\n', '\x01', '\x7f', '\u00e9', '\u4e2d\u6587', '\U0001f600',
         '\u2028', 'e\u0301', 'a\x00b', 'a rather long member name, longer than the others']
STRINGS = ['', 'x', 'ACTIVE', 'ERROR', 'a/b', '\u00e9', '\U0001f600', '"\\\b\f\n\r\t', '\x00',
           'some longer text that has more bytes than any operation would need around it']
NUMBERS = ['0', '-0', '1', '1.0', '1e0', '2', '10', '-7', '18446744073709551616',
           '123456789012345678901234567890.5', '1e400', '0.1', '0.10']
IGNORES = [[], [], [], [], [], ['/rows/*/status'], ['/a', '/b'], ['/*/a'], ['/rows/*'],
           ['/rows/1'], ['/rows/0/status'], ['/*/*/name', '/a~1b'], ['/~01', '/m~0n~1o/*'], ['']]
IDENTITIES = ['', '', '', 'name', 'status', 'a/b']
IGNORED = object()


class Number(str):
    """A number's text, which is no string."""
    __hash__ = str.__hash__

    def __eq__(self, other):
        return isinstance(other, Number) and str.__eq__(self, other)

    def __ne__(self, other):
        return not self == other


def parse(text):
    return json.loads(text, parse_int=Number, parse_float=Number)


class Maker:
    """Random documents, their changes, and their many spellings."""

    def __init__(self, rng):
        self.rng = rng
        self.next_id = 0

    def chance(self, probability):
        return self.rng.random() < probability

    def scalar(self):
        kind = self.rng.randrange(8)
        if kind < 3:
            return self.rng.choice(STRINGS)
        if kind < 6:
            return Number(self.rng.choice(NUMBERS))
        return self.rng.choice((True, False, None))

    def row(self, key, depth=2):
        self.next_id += 1
        row = {}
        if key:
            unique = self.next_id
            row[key] = Number(unique) if self.chance(0.5) else f'row {unique}'
        row['status'] = self.rng.choice(('ACTIVE', 'BUILD', 'ERROR'))
        for _ in range(self.rng.randrange(4)):
            row.setdefault(self.rng.choice(NAMES), self.value(depth - 1))
        return row

    def rows(self, depth=3):
        key = self.rng.choice(('id', 'id', 'uuid', 'name', 'a/b', None))
        return [self.row(key, depth - 1) for _ in range(self.rng.choice((0, 1, 2, 3, 5, 8, 20)))]

    def value(self, depth):
        kind = self.rng.random()
        if depth <= 0 or kind < 0.35:
            return self.scalar()
        if kind < 0.5:
            return self.rows(depth - 1)
        if kind < 0.6:
            return [self.scalar() for _ in range(self.rng.randrange(12))]
        if kind < 0.7:
            return [self.value(depth - 1) for _ in range(self.rng.randrange(5))]
        return {self.rng.choice(NAMES): self.value(depth - 1)
                for _ in range(self.rng.randrange(8))}

    def document(self):
        kind = self.rng.random()
        if kind < 0.05:
            return self.value(1)
        if kind < 0.2:
            return self.rows()
        document = {self.rng.choice(NAMES): self.value(4)
                    for _ in range(self.rng.randrange(10))}
        if self.chance(0.7):
            document['rows'] = self.rows()
        return document

    def change_list(self, value):
        rng, at = self.rng, self.rng.randrange(len(value) + 1)
        kind = rng.randrange(9)
        if kind == 0:
            # Mostly something like its neighbours.
            value.insert(at, copy.deepcopy(rng.choice(value)) if value and self.chance(0.3)
                         else self.row('id') if self.chance(0.6) else self.scalar())
        elif kind == 1 and value:
            del value[rng.randrange(len(value))]
        elif kind == 2 and value:
            value.insert(rng.randrange(len(value)), value.pop(rng.randrange(len(value))))
        elif kind == 3:
            rng.shuffle(value)
        elif kind == 4:
            value.reverse()
        elif kind == 5:
            del value[at:at + rng.randrange(4)]
        elif kind == 6:
            value[:] = value[at:] + value[:at]
        elif value:
            index = rng.randrange(len(value))
            value[index] = self.changed(value[index])

    def change_object(self, value):
        rng, kind = self.rng, self.rng.randrange(8)
        names = list(value)
        if kind == 0:
            value[rng.choice(NAMES)] = self.value(2)
        elif kind == 1 and names:
            del value[rng.choice(names)]
        elif kind == 2 and names:
            value[rng.choice(NAMES)] = value.pop(rng.choice(names))
        elif kind == 3 and names:
            value[rng.choice(names)] = self.value(2)
        elif names:
            name = rng.choice(names)
            value[name] = self.changed(value[name])

    def changed(self, value):
        """One random change somewhere in @value."""
        if isinstance(value, list):
            self.change_list(value)
        elif isinstance(value, dict):
            self.change_object(value)
        elif self.chance(0.8):
            return self.scalar()
        else:
            return self.value(2)
        return value

    def pair(self):
        before = self.document()
        if self.chance(0.03):
            return before, self.document()
        after = copy.deepcopy(before)
        for _ in range(self.rng.choice((0, 1, 1, 1, 2, 3, 5, 10, 30))):
            after = self.changed(after)
        return before, after

    def space(self):
        return self.rng.choice((' ', '\n', '\t', '\r\n  ')) if self.spaced and \
            self.chance(0.3) else ''

    def string(self, value):
        if self.plain:
            return json.dumps(value, ensure_ascii=False)
        return '"' + ''.join(self.character(one) for one in value) + '"'

    def character(self, one):
        if self.chance(0.3):
            units = one.encode('utf-16-be')
            return ''.join(f'\\u{units[i]:02x}{units[i + 1]:02X}' for i in range(0, len(units), 2))
        if one == '/' and self.chance(0.5):
            return '\\/'
        return json.dumps(one, ensure_ascii=False)[1:-1]

    def spell(self, value):
        gap = self.space
        if isinstance(value, Number):
            return str.__str__(value)
        if isinstance(value, str):
            return self.string(value)
        if isinstance(value, list):
            return '[' + gap() + f',{gap()}'.join(
                self.spell(one) + gap() for one in value) + ']'
        if isinstance(value, dict):
            members = list(value.items())
            if self.shuffled:
                self.rng.shuffle(members)
            return '{' + gap() + f',{gap()}'.join(
                f'{self.string(name)}{gap()}:{gap()}{self.spell(one)}{gap()}'
                for name, one in members) + '}'
        return json.dumps(value)

    def text(self, value):
        self.plain, self.spaced, self.shuffled = (self.chance(0.6) for _ in range(3))
        return (self.space() + self.spell(value) + self.space()).encode()


def pattern_of(pointer):
    return [segment.replace('~1', '/').replace('~0', '~') for segment in pointer.split('/')[1:]]


def map_ignored(value, patterns, ignored):
    """A copy of @value where @ignored(value) stands for what a pattern names."""
    if [] in patterns:
        return ignored(value)

    def below(name):
        return [pattern[1:] for pattern in patterns if pattern[0] in ('*', name)]

    if isinstance(value, list):
        return [map_ignored(one, below(str(index)), ignored) for index, one in enumerate(value)]
    if isinstance(value, dict):
        return {name: map_ignored(one, below(name), ignored) for name, one in value.items()}
    return value


def without_marks(value):
    """Ignored members are as good as absent, ignored elements keep their place."""
    if isinstance(value, list):
        return [without_marks(one) for one in value]
    if isinstance(value, dict):
        return {name: without_marks(one) for name, one in value.items() if one is not IGNORED}
    return value


def stripped(value, patterns):
    return without_marks(map_ignored(value, patterns, lambda _: IGNORED))


def wrapped(value):
    """For a library to which numbers are doubles: numbers as strings of their own kind."""
    if isinstance(value, Number):
        return 'number ' + value
    if isinstance(value, str):
        return 'string ' + value
    if isinstance(value, list):
        return [wrapped(one) for one in value]
    if isinstance(value, dict):
        return {name: wrapped(one) for name, one in value.items()}
    return value


def wrapped_patch(patch):
    return [{name: wrapped(part) if name == 'value' else part for name, part in one.items()}
            for one in patch]


class Case:
    def __init__(self, maker):
        rng = maker.rng
        self.before, self.after = maker.pair()
        self.before_text, self.after_text = maker.text(self.before), maker.text(self.after)
        self.identity = rng.choice(IDENTITIES)
        self.ignore = rng.choice(IGNORES)
        self.patterns = [pattern_of(pointer) for pointer in self.ignore]
        # What a client may hold: the same, but for ignored parts.
        self.held = map_ignored(self.before, self.patterns, lambda _: Number('4711'))

    def request(self):
        def string(value):
            return struct.pack('<I', len(value)) + value
        return b''.join([string(self.identity.encode()), bytes([len(self.ignore)]),
                         *(string(one.encode()) for one in self.ignore),
                         string(self.before_text), string(self.after_text)])

    def expected(self):
        return stripped(self.after, self.patterns)

    def problem(self):
        same = stripped(self.before, self.patterns) == self.expected()
        if self.outcome == 'E':
            return 'refused'
        if same != (self.outcome == 'S'):
            return 'a difference is missed, or one is seen where there is none'
        if self.outcome != 'P':
            return None
        if len(self.patch_text) >= len(self.after_text):
            return 'the patch is as large as the document'
        self.patch = parse(self.patch_text)
        for document in (self.before, self.held):
            try:
                result = jsonpatch.apply_patch(document, self.patch)
            except Exception as error:
                return f'cannot be applied: {error!r}'
            if stripped(result, self.patterns) != self.expected():
                return 'makes another document'
        return None

    def report(self):
        print(f'{self.wrong}\n identity {self.identity!r} ignore {self.ignore}\n'
              f' before {self.before_text.decode()}\n after  {self.after_text.decode()}\n'
              f' outcome {self.outcome} {self.patch_text.decode()}')


def make_diffs(program, cases):
    answers = subprocess.run([program], input=b''.join(case.request() for case in cases),
                             stdout=subprocess.PIPE, check=True).stdout
    at = 0
    for case in cases:
        case.outcome, length = answers[at:at + 1].decode(), *struct.unpack_from('<I', answers, at + 1)
        case.patch_text = answers[at + 5:at + 5 + length]
        at += 5 + length
    assert at == len(answers)


def node_libraries(directory):
    """Those that are there, or can be installed."""
    if not directory or not shutil.which('node'):
        return []
    missing = [f'{name}@{version}' for name, version in LIBRARIES.items()
               if not os.path.isdir(os.path.join(directory, 'node_modules', name))]
    if missing and shutil.which('npm'):
        os.makedirs(directory, exist_ok=True)
        subprocess.run(['npm', 'install', '--silent', '--no-audit', '--no-fund', '--prefix',
                        directory, *missing], check=False)
    return [name for name in LIBRARIES
            if os.path.isdir(os.path.join(directory, 'node_modules', name))]


def node_problems(directory, library, cases):
    """The cases whose patch another library applies to something else."""
    cases = [case for case in cases if case.outcome == 'P']
    lines = ''.join(json.dumps([wrapped(case.before), wrapped_patch(case.patch)]) + '\n'
                    for case in cases)
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'apply_patches.js')
    answers = subprocess.run(['node', script, directory, library], input=lines.encode(),
                             stdout=subprocess.PIPE, check=True).stdout.splitlines()
    assert len(answers) == len(cases)
    for case, answer in zip(cases, answers):
        if stripped(json.loads(answer), case.patterns) != wrapped(case.expected()):
            yield case


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('make_diff')
    parser.add_argument('count', nargs='?', type=int, default=3000)
    parser.add_argument('seed', nargs='?', type=int, default=random.randrange(1 << 32))
    parser.add_argument('--node')
    options = parser.parse_args()
    libraries = node_libraries(options.node)
    maker = Maker(random.Random(options.seed))
    outcomes = {'P': 0, 'S': 0, 'L': 0, 'E': 0}
    wrong = []

    print(f'property_diff: {options.count} pairs, seed {options.seed}, '
          f'applied by {["jsonpatch", *libraries]}', flush=True)
    for done in range(0, options.count, BATCH):
        cases = [Case(maker) for _ in range(min(BATCH, options.count - done))]
        make_diffs(options.make_diff, cases)
        good = []
        for case in cases:
            outcomes[case.outcome] += 1
            case.wrong = case.problem()
            (wrong if case.wrong else good).append(case)
        for library in libraries:
            for case in node_problems(options.node, library, good):
                case.wrong = f'{library} makes another document'
                wrong.append(case)
    # The smallest tell most.
    for case in sorted(wrong, key=lambda one: len(one.before_text))[:SHOWN]:
        case.report()
    print(f'property_diff: {outcomes["P"]} patches, {outcomes["S"]} same, '
          f'{outcomes["L"]} larger; {len(wrong)} wrong')
    # Without patches little would be proven.
    return 1 if wrong or outcomes['P'] < options.count / 4 else 0


if __name__ == '__main__':
    sys.exit(main())
