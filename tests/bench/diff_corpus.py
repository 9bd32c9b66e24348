"""The documents that tests/bench/run diff compares: the same ones in every run.

Lists as the APIs of clouds and clusters have them, each with what may happen to it between
two polls.
"""

import copy
import dataclasses
import json
import random

SEED = 6902


@dataclasses.dataclass
class Case:
    name: str
    before: bytes
    after: bytes


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def indented(value):
    return json.dumps(value, indent=2).encode()


def hexadecimal(rng, digits):
    return f"{rng.getrandbits(4 * digits):0{digits}x}"


def uuid(rng):
    return "-".join(hexadecimal(rng, digits) for digits in (8, 4, 4, 4, 12))


def node(rng, number):
    """About 200 bytes, mostly numbers."""
    return {
        "name": f"node{number:04}.example.com",
        "mtotal": 262144,
        "mfree": rng.randrange(262144),
        "dtotal": 3815447,
        "dfree": rng.randrange(3815447),
        "pinst_cnt": rng.randrange(40),
        "sinst_cnt": rng.randrange(40),
        "offline": rng.random() < 0.02,
        "tags": ["rack:" + hexadecimal(rng, 2), "cluster:main"],
        "ctime": 1600000000 + rng.random() * 1e8,
    }


def server(rng, number):
    """About 500 bytes: identifiers, texts, an object in it and a list of them."""
    ident = uuid(rng)
    return {
        "id": ident,
        "name": f"web-{number:05}",
        "status": rng.choice(["ACTIVE", "ACTIVE", "ACTIVE", "BUILD", "ERROR"]),
        "created": "2024-03-01T12:34:56Z",
        "hostId": hexadecimal(rng, 56),
        "flavor": {"id": str(rng.randrange(9)), "vcpus": 4, "ram": 8192},
        "image": {"id": uuid(rng)},
        "addresses": [{"addr": f"10.0.{number >> 8}.{number & 255}", "version": 4}],
        "links": [
            {"rel": "self", "href": f"https://dfw.example.com/v2/servers/{ident}"}
        ],
        "metadata": {"role": "frontend", "owner": "ops@example.com"},
        "progress": 100,
        "key_name": None,
    }


def metric(rng, number):
    """About 110 bytes: a name, labels and a value."""
    return {
        "id": number,
        "name": "http_requests_total",
        "labels": {"pod": hexadecimal(rng, 8), "code": rng.choice(["200", "404"])},
        "value": round(rng.random() * 1e6, 3),
        "at": 1700000000000 + number,
    }


def rows(make, count):
    rng = random.Random(SEED)
    return [make(rng, number) for number in range(count)]


def change_some(values, member, rng, share):
    changed = copy.deepcopy(values)
    for row in changed:
        if rng.random() < share:
            row[member] = rng.randrange(1000)
    return changed


def change_one(values, member):
    changed = copy.deepcopy(values)
    changed[len(changed) // 2][member] = "CHANGED"
    return changed


def add_and_remove(make, values, count):
    """As many go as come, at the end."""
    rng = random.Random(SEED + 1)
    kept = [row for n, row in enumerate(values) if n % (len(values) // count) != 7]
    return kept + [make(rng, len(values) + n) for n in range(len(values) - len(kept))]


def move_some(values, rng, count):
    moved = list(values)
    for _ in range(count):
        moved.insert(rng.randrange(len(moved)), moved.pop(rng.randrange(len(moved))))
    return moved


def cases():
    rng = random.Random(SEED + 2)
    few, nodes, servers = rows(node, 4), rows(node, 400), rows(server, 2000)
    metrics = rows(metric, 40000)

    def case(name, before, after, write=compact):
        return Case(name, write(before), write(after))

    yield case("4 nodes, one changed", few, change_one(few, "mfree"))
    yield case("400 nodes, one changed", nodes, change_one(nodes, "mfree"))
    yield case("400 nodes, all changed", nodes, change_some(nodes, "mfree", rng, 1.0))
    yield case("2000 servers, one changed", servers, change_one(servers, "status"))
    yield case(
        "2000 servers indented, one changed",
        servers,
        change_one(servers, "status"),
        indented,
    )
    yield case(
        "2000 servers, a tenth changed",
        servers,
        change_some(servers, "progress", rng, 0.1),
    )
    yield case(
        "2000 servers, 20 gone and 20 new",
        servers,
        add_and_remove(server, servers, 20),
    )
    yield case("2000 servers, 20 moved", servers, move_some(servers, rng, 20))
    yield case("40000 metrics, one changed", metrics, change_one(metrics, "value"))
    yield case(
        "40000 metrics, a tenth changed",
        metrics,
        change_some(metrics, "value", rng, 0.1),
    )
