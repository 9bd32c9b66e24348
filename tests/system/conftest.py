"""Fixtures: fleets of real processes that are always gone after the test."""

import signal
import warnings

import pytest

warnings.filterwarnings("ignore", category=DeprecationWarning, module="websockets")

from harness import Fleet  # noqa: E402

# A shell without job control has what it puts into its background ignore Ctrl-C, and
# that would hold for all that is started here.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def start_fleet(tmp_path):
    """start_fleet(gateways=…, pollers=…, interval=…, config=…): see Fleet.start()."""
    fleets = []

    def start(**options):
        directory = tmp_path / f"fleet{len(fleets) + 1}"
        directory.mkdir()
        fleet = Fleet(directory)
        fleets.append(fleet)
        return fleet.start(**options)

    start.fleets = fleets
    yield start
    wrong = [text for fleet in reversed(fleets) for text in fleet.close()]
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def fleet(start_fleet):
    """Two gateways, two pollers, polling every half second."""
    return start_fleet()


@pytest.fixture
def small_fleet(start_fleet):
    """One of each, polling five times a second."""
    return start_fleet(gateways=1, pollers=1, interval=0.2)


@pytest.fixture(scope="module")
def shared_fleet(tmp_path_factory):
    """One fleet for all tests of a file; /a is {"n":1} and stays so."""
    fleet = Fleet(tmp_path_factory.mktemp("shared"))
    fleet.start(gateways=1, pollers=1, interval=0.5)
    fleet.upstream.set("/a", {"n": 1})
    yield fleet
    wrong = fleet.close()
    assert not wrong, "\n".join(wrong)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the ends of the processes' logs with every failure."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for value in item.funcargs.values():
            fleets = [value] if isinstance(value, Fleet) else getattr(value, "fleets", [])
            for name, log in (entry for fleet in fleets for entry in fleet.logs()):
                section = (f"log of {name}", log)
                if section not in report.sections:
                    report.sections.append(section)
