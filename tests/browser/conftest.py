"""Fixtures: the fleets of tests/system, a browser, and pages that watch them."""

import importlib.util
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).parent
SYSTEM = HERE.parent / "system"
sys.path.insert(0, str(SYSTEM))

from browser import WEB, Balancer, Browser, Site, bundle  # noqa: E402

# Another conftest has the name already.
spec = importlib.util.spec_from_file_location("system_fixtures", SYSTEM / "conftest.py")
system_fixtures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(system_fixtures)
start_fleet = system_fixtures.start_fleet
pytest_runtest_makereport = system_fixtures.pytest_runtest_makereport


@pytest.fixture(scope="session")
def scripts(tmp_path_factory):
    """What pages import, bundled: content by path."""
    directory = tmp_path_factory.mktemp("scripts")
    entries = {
        "uricast.js": WEB / "client/uricast.js",
        "react.js": HERE / "react_page.js",
    }
    made = {}
    for name, entry in entries.items():
        path = bundle(
            entry,
            directory / name,
            '--define:process.env.NODE_ENV="development"',
            f"--alias:react={WEB}/node_modules/react",
            f"--alias:react-dom={WEB}/node_modules/react-dom",
            "--jsx=automatic",
        )
        made[f"/{name}"] = ("text/javascript", path.read_bytes())
    return made


@pytest.fixture(scope="session")
def site(scripts):
    page = ("text/html; charset=utf-8", (HERE / "page.html").read_bytes())
    site = Site({"/": page, **scripts})
    yield site
    site.close()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("chromium") / "driver.log")
    yield browser
    browser.close()


@pytest.fixture
def open_page(chromium, site):
    """open_page(): a new tab with tests/browser/page.html in it."""
    pages = []

    def open_page():
        page = chromium.open(f"{site.origin}/")
        pages.append(page)
        page.until("globalThis.ready")
        return page

    yield open_page
    for page in pages:
        page.close()
    errors = chromium.ask("errors")
    assert not errors, "\n".join(errors)


@pytest.fixture
def start(start_fleet, site):
    """start(…): a fleet whose gateways take pages of the site; see Fleet.start()."""
    balancers = []

    def start(**options):
        options.setdefault("interval", 0.2)
        gateway_options = ["--origin", site.origin, *options.pop("gateway_options", ())]
        fleet = start_fleet(gateway_options=gateway_options, **options)
        fleet.urls = [f"http://127.0.0.1:{gateway.port}/" for gateway in fleet.gateways]
        fleet.balancer = Balancer([gateway.port for gateway in fleet.gateways])
        balancers.append(fleet.balancer)
        return fleet

    yield start
    for balancer in balancers:
        balancer.close()


@pytest.fixture
def small(start):
    """One gateway, one poller, polling five times a second."""
    return start(gateways=1, pollers=1)
