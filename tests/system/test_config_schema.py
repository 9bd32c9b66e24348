"""docs/config.schema.json and docs/configuration.md say what the programs do."""

import json
import re
import shlex
import subprocess

import jsonschema
import pytest

from harness import BUILD, TOP

DOCS = TOP / "docs"
CATALOGS = ("cluster.json", "cloud", "mesh.json")
PROGRAMS = {
    "uricast-gateway": BUILD / "gateway/uricast-gateway",
    "uricast-poller": BUILD / "poller/uricast-poller",
}
SCHEMA = json.loads((DOCS / "config.schema.json").read_text())
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)

URL = "http://api.example.com"


def without_comments(text):
    """JSON with comments as JSON; strings stay as they are."""
    pattern = r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/'
    return re.sub(pattern, lambda match: match.group(1) or "", text, flags=re.DOTALL)


def files_of(path):
    return sorted(path.glob("*.json")) if path.is_dir() else [path]


def check(program, path):
    command = [PROGRAMS[program], "--config", path, "--check-config"]
    return subprocess.run(command, capture_output=True, text=True, timeout=20)


def documentation():
    return (DOCS / "configuration.md").read_text()


def examples():
    """The whole files in the documentation."""
    return re.findall(r"^```json\n(.*?)^```$", documentation(), re.DOTALL | re.MULTILINE)


def shown_commands():
    """Commands in the documentation that check a catalog, with the output shown."""
    pattern = r"^    \$ (uricast-\w+ .*--check-config)\n((?:    .*\n)+)"
    for command, output in re.findall(pattern, documentation(), re.MULTILINE):
        yield command, re.sub(r"^    ", "", output, flags=re.MULTILINE)


def test_the_schema_is_one():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", CATALOGS)
def test_every_worked_catalog_is_fine(name):
    path = DOCS / "catalogs" / name
    for file in files_of(path):
        content = json.loads(without_comments(file.read_text()))
        VALIDATOR.validate(content)
        assert (file.parent / content["$schema"]).resolve() == DOCS / "config.schema.json"
    for program in PROGRAMS:
        done = check(program, path)
        assert (done.returncode, done.stderr) == (0, "")


def test_every_example_in_the_documentation_is_fine(tmp_path):
    assert len(examples()) >= 3
    for number, text in enumerate(examples()):
        VALIDATOR.validate(json.loads(without_comments(text)))
        path = tmp_path / f"{number}.json"
        path.write_text(text)
        for program in PROGRAMS:
            done = check(program, path)
            assert (done.returncode, done.stderr) == (0, ""), text


def test_what_the_documentation_shows_is_what_is_printed():
    commands = list(shown_commands())
    assert len(commands) == len(CATALOGS) + 1
    for command, output in commands:
        program, *arguments = shlex.split(command)
        done = subprocess.run(
            [PROGRAMS[program], *arguments],
            cwd=DOCS / "catalogs",
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert done.stdout + done.stderr == output


def test_the_documentation_names_every_option_and_member():
    text = documentation()
    for program in PROGRAMS.values():
        shown = subprocess.run([program, "--help"], capture_output=True, text=True)
        for option in re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", shown.stdout, re.MULTILINE):
            assert f"`{option}" in text, option
        for variable in re.findall(r"\[(URICAST_\w+)\]", shown.stdout):
            assert variable in text, variable
    for _, _, schema in places():
        for member in schema["properties"]:
            assert re.search(rf"`[a-z_.]*{re.escape(member)}`", text), member


def service(**more):
    return {"services": {"a": {"url": URL, **more}}}


def resource(**more):
    return service(resources={"t": {"path": "/t", **more}})


MISTAKES = {
    "an unknown member": {"redsi": "redis://127.0.0.1"},
    "a service without an object": {"services": {"a": URL}},
    "a number for a text": {"redis": 6379},
    "an unknown scheme": {"redis": "http://127.0.0.1"},
    "a lease too short": {"lease": 0.1, **service()},
    "a level that is none": {"log_level": "loud", **service()},
    "a level of nothing": {"log_level": "info,=debug", **service()},
    "a format that is none": {"log_format": "xml", **service()},
    "a prefix with a space": {"prefix": "a b", **service()},
    "a port without a host": {"gateway": {"listen": "7070"}, **service()},
    "an origin with a path": {"gateway": {"origins": ["https://a.example/x"]}, **service()},
    "origins that are no list": {"gateway": {"origins": "https://a.example"}, **service()},
    "no client at all": {"gateway": {"limits": {"clients": 0}}, **service()},
    "a unit that is none": {"gateway": {"limits": {"message": "64kb"}}, **service()},
    "a proxy by its name": {"gateway": {"trusted_proxies": ["proxy"]}, **service()},
    "a drain that takes for ever": {"gateway": {"drain": {"spread": 601}}, **service()},
    "a gateway's member in a poller": {"poller": {"listen": "h:1"}, **service()},
    "a name with a slash": {"services": {"a/b": {"url": URL}}},
    "a url with a query": {"services": {"a": {"url": URL + "/?x=1"}}},
    "a url with a password": {"services": {"a": {"url": "http://u:p@api.example.com"}}},
    "a url of another scheme": {"services": {"a": {"url": "ftp://api.example.com"}}},
    "a flag in words": service(raw="yes"),
    "an interval without a number": service(interval="often"),
    "an interval too short": service(interval=0.001),
    "an interval in days": service(interval="1d"),
    "an unknown bound": service(interval={"least": "1s"}),
    "no request at all": service(limits={"concurrency": 0}),
    "half a request at once": service(limits={"concurrency": 1.5}),
    "a rate per minute": service(limits={"rate": "50/m"}),
    "a key without a certificate": service(tls={"key": "/k.pem"}),
    "an unknown TLS setting": service(tls={"insecure": True}),
    "a header's name with a space": service(headers={"X Token": "a"}),
    "a header of no text": service(headers={"X-Token": 1}),
    "a header from nowhere": service(headers={"X-Token": "file:"}),
    "a header of two lines": service(headers={"X-Token": "a\r\nX-Other: b"}),
    "a password in the file": service(basic="user:password"),
    "a pointer without a slash": service(ignore=["servers/*/updated"]),
    "a pointer with a bare tilde": service(ignore=["/a~b"]),
    "no identity": service(identity=""),
    "no region": {"services": {"a": {"regions": {}}}},
    "a region with resources": {
        "services": {"a": {"regions": {"r": {"url": URL, "resources": {}}}}}
    },
    "a type without a path": service(resources={"t": {"item": "/t/{id}"}}),
    "a path without a slash": service(resources={"t": {"path": "t"}}),
    "an item without its id": resource(item="/t/1"),
    "an item with two ids": resource(item="/{id}/{id}"),
    "an id behind a dot": resource(item="/t/.{id}"),
    "a type's unknown member": resource(url=URL),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_schema_and_the_programs_refuse_the_same(mistake, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(MISTAKES[mistake]))
    assert not VALIDATOR.is_valid(MISTAKES[mistake]), "the schema takes it"
    for program in PROGRAMS:
        done = check(program, path)
        assert done.returncode == 2 and str(path) in done.stderr, program


def definition(name):
    return SCHEMA["definitions"][name]


def places():
    """Where objects with members of ours stand: around what, and by which schema."""
    top = SCHEMA["properties"]
    interval = definition("interval")["anyOf"][1]
    return [
        ("file", lambda inner: inner, SCHEMA),
        ("gateway", lambda inner: {"gateway": inner}, top["gateway"]),
        (
            "gateway.limits",
            lambda inner: {"gateway": {"limits": inner}},
            top["gateway"]["properties"]["limits"],
        ),
        (
            "gateway.drain",
            lambda inner: {"gateway": {"drain": inner}},
            top["gateway"]["properties"]["drain"],
        ),
        ("poller", lambda inner: {"poller": inner}, top["poller"]),
        ("service", lambda inner: {"services": {"a": inner}}, definition("service")),
        ("interval", lambda inner: service(interval=inner), interval),
        ("limits", lambda inner: service(limits=inner), definition("limits")),
        ("tls", lambda inner: service(tls=inner), definition("tls")),
        (
            "region",
            lambda inner: {"services": {"a": {"regions": {"r": inner}}}},
            definition("region"),
        ),
        ("resource", lambda inner: service(resources={"t": inner}), definition("resource")),
    ]


@pytest.mark.parametrize("place, around, schema", places(), ids=[p[0] for p in places()])
def test_the_schema_knows_every_member_that_the_programs_know(
    place, around, schema, tmp_path
):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(around({"xxxxxxxxxxxx": 1})))
    said = check("uricast-gateway", path).stderr
    known = re.search(r"known here: (.*)", said).group(1).split(", ")
    assert set(known) == set(schema["properties"])
