"""The dashboard, in real Chromium, on real gateways and pollers."""


import pytest

from browser import Balancer
from dashboard import Chromium, watch_url
from harness import Fleet, until_now
from load_balancer import HAProxy

WAITING = 'document.querySelector(".waiting").innerText'
IS_WAITING = 'document.querySelector(".waiting").checkVisibility()'
OPEN_TITLE = """document.querySelector(".details").checkVisibility() &&
    document.querySelector(".details h2").textContent"""
WIDTH = """Math.max(document.documentElement.scrollWidth,
    document.querySelector("main").scrollWidth)"""
LIVE = 'document.getElementById("link").textContent === "live"'


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    chromium = Chromium(tmp_path_factory.mktemp("dashboard") / "driver.log")
    yield chromium
    chromium.close()


@pytest.fixture
def open_page(chromium):
    visitors = []

    def open_page(url, **options):
        visitors.append(chromium.open(url, **options))
        return visitors[-1]

    yield open_page
    for visitor in visitors:
        visitor.close()
    errors = chromium.errors()
    assert not errors, "\n".join(errors)


@pytest.fixture(scope="module")
def whole_fleet(tmp_path_factory):
    fleet = Fleet(tmp_path_factory.mktemp("dashboard-fleet"))
    fleet.start(gateways=1, pollers=1, interval=0.2)
    fleet.base = f"http://127.0.0.1:{fleet.gateways[0].port}/"
    fleet.tests = 0
    yield fleet
    wrong = fleet.close()
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def fleet(whole_fleet):
    """One gateway and one poller for all, with an address of its own for each test."""
    whole_fleet.tests += 1
    whole_fleet.uri = f"/servers{whole_fleet.tests}"
    whole_fleet.show = lambda rows, **more: whole_fleet.upstream.set(
        whole_fleet.uri, rows, **more
    )
    return whole_fleet


def servers(*names, **more):
    """Rows; more={"load": {"c": 5}} gives a row another value."""
    rows = [{"name": name, "load": 1, "note": "as usual"} for name in names]
    for member, values in more.items():
        for row in rows:
            row[member] = values.get(row["name"], row[member])
    return rows


def show(fleet, open_page, rows, **place):
    """A page that shows @rows."""
    fleet.show(rows)
    page = open_page(watch_url(fleet.base, fleet.uri, **place))
    page.until(f'document.querySelectorAll(".rows .row").length >= {min(len(rows), 5)}')
    return page


# ---- rows ----


def test_a_list_of_objects_is_a_table_and_stays_current(fleet, open_page):
    page = show(fleet, open_page, servers("a", "b", "c"))
    page.await_names(["a", "b", "c"])
    fleet.show(servers("a", "b", "d", load={"b": 7}))
    page.until('document.querySelector(".rows")?.innerText.includes("7")')
    page.until('document.querySelector(".rows")?.innerText.includes("d")')
    page.await_names(["a", "b", "d"])


def test_anything_else_is_a_tree_and_stays_current(fleet, open_page):
    fleet.upstream.set("/info", {"name": "demo", "inside": {"n": 1}})
    page = open_page(watch_url(fleet.base, "/info"))
    page.until('document.querySelector("[role=tree]")?.innerText.includes("demo")')
    fleet.upstream.set("/info", {"name": "demo", "inside": {"n": 4711}})
    page.until('document.querySelector("[role=tree]")?.innerText.includes("4711")')


def test_a_click_hits_the_row_it_was_aimed_at(fleet, open_page):
    page = show(fleet, open_page, servers("d", "e", "f"))
    x, y = page.point_at("e")
    fleet.show(servers("a", "b", "c", "d", "e", "f"))
    page.until(IS_WAITING)
    assert page.names() == ["d", "e", "f"]
    page.do("mouse.click", x, y)
    assert page.until(OPEN_TITLE) == "e"


def test_sorted_rows_stay_under_the_pointer_and_show_what_is_true(fleet, open_page):
    page = show(fleet, open_page, servers("a", "b", "c", load={"c": 5}), sort="-load")
    assert page.names()[0] == "c"
    page.point_at("c")
    fleet.show(servers("a", "b", "c", load={"b": 99, "c": 5}))
    page.until('document.querySelector(".rows")?.innerText.includes("99")')
    page.until(IS_WAITING)
    assert page.names()[0] == "c"
    page.do("mouse.move", 5, 5)
    page.until(f"!{IS_WAITING}")
    page.await_names(["b", "c", "a"])


def test_what_waits_is_counted_and_done_when_the_pointer_leaves(fleet, open_page):
    page = show(fleet, open_page, servers("a", "b", "c"))
    page.point_at("b")
    fleet.show(servers("b", "c", "x", "y"))
    page.until(IS_WAITING)
    assert page.see(WAITING) == "3 changes waiting"
    gone = page.until(
        """[...document.querySelectorAll(".rows .row.gone")]
        .map((row) => [row.firstChild.textContent,
            getComputedStyle(row).textDecorationLine])"""
    )
    assert gone == [["a", "line-through"]]
    assert page.names() == ["a", "b", "c"]
    page.do("mouse.move", 5, 5)
    page.until(f"!{IS_WAITING}")
    page.await_names(["b", "c", "x", "y"])
    page.until('document.querySelectorAll(".gone").length === 0')


def test_rows_stay_while_one_of_them_has_the_focus(fleet, open_page):
    page = show(fleet, open_page, servers("a", "b", "c"))
    page.see('document.querySelector(".rows .row[tabindex=\\"0\\"]").focus()')
    page.do("keyboard.press", "ArrowDown")
    fleet.show(servers("b", "c"))
    page.until(IS_WAITING)
    assert page.see("document.activeElement.firstChild.textContent") == "b"
    page.do("keyboard.press", "Escape")
    page.until(f"!{IS_WAITING}")
    page.await_names(["b", "c"])


def test_the_waiting_changes_can_be_asked_for(fleet, open_page):
    page = show(fleet, open_page, servers("a", "b"))
    page.see('document.querySelector(".rows .row").focus()')
    fleet.show(servers("a", "b", "c"))
    page.until(IS_WAITING)
    page.do("click", ".waiting")
    page.until(f"!{IS_WAITING}")
    page.await_names(["a", "b", "c"])


def test_only_rows_in_view_are_in_the_page(fleet, open_page):
    page = show(fleet, open_page, servers(*(f"s{n}" for n in range(10000))))
    assert page.see('document.querySelectorAll(".rows .row").length') < 60
    assert page.see('document.querySelector("[role=grid]").ariaRowCount') == "10001"
    page.see('document.querySelector(".rows .row").focus()')
    page.do("keyboard.press", "End")
    page.until('document.activeElement.firstChild?.textContent === "s9999"')
    assert page.see("document.activeElement.ariaRowIndex") == "10001"


# ---- how it is looked at ----


def test_sort_and_filter_are_in_the_link_and_survive_a_reload(fleet, open_page):
    page = show(fleet, open_page, servers("b", "a", "ab"))
    page.do("click", '[data-column="name"]')
    page.until("location.hash.includes('sort=name')")
    page.await_names(["a", "ab", "b"])
    page.do("keyboard.press", "/")
    page.do("keyboard.type", "a")
    page.until("location.hash.includes('filter=a')")
    page.do("click", '[data-column="name"]')
    page.until("location.hash.includes('sort=-name')")
    sorted_as = "document.querySelector('[role=columnheader]').ariaSort"
    assert page.see(sorted_as) == "descending"
    page.do("reload")
    page.until('document.querySelectorAll(".rows .row").length === 3')
    assert page.see('document.getElementById("filter").value') == "a"
    assert page.see(sorted_as) == "descending"
    page.await_names(["b", "ab", "a"])


def test_columns_can_be_chosen(fleet, open_page):
    page = show(fleet, open_page, servers("a"))
    page.do("click", "summary")
    page.do("click", '.menu label:has-text("note")')
    page.until("location.hash.includes('columns=name,load')")
    titles = (
        "[...document.querySelectorAll('[role=columnheader]')].map((c) => c.innerText)"
    )
    assert page.see(titles) == ["name", "load"]


def test_enter_opens_a_row_and_escape_leads_back(fleet, open_page):
    page = show(fleet, open_page, servers("a", "b"))
    page.see('document.querySelector(".rows .row").focus()')
    page.do("keyboard.press", "ArrowDown")
    page.do("keyboard.press", "Enter")
    assert page.until(OPEN_TITLE) == "b"
    assert page.see(
        'document.querySelector(".details").contains(document.activeElement)'
    )
    fleet.show(servers("a", "b", load={"b": 77}))
    page.until('document.querySelector(".details")?.innerText.includes("77")')
    page.do("keyboard.press", "Escape")
    page.until('document.activeElement.firstChild?.textContent === "b"')
    assert not page.see(OPEN_TITLE)


def test_all_of_a_long_list_is_reached_by_keys(fleet, open_page):
    fleet.upstream.set("/long", {"list": list(range(300))})
    page = open_page(watch_url(fleet.base, "/long"))
    page.until('document.querySelector("[role=tree]")?.innerText.includes("300 entries")')
    page.see('document.querySelector("[role=treeitem]").focus()')
    for key in ("ArrowDown", "ArrowRight", "End"):
        page.do("keyboard.press", key)
    assert page.see("document.activeElement.innerText") == "100 more"
    fleet.upstream.set("/long", {"list": ["new", *range(300)]})
    page.until("document.activeElement.innerText === '101 more'")
    page.do("keyboard.press", "Enter")
    assert page.see("document.activeElement.innerText.split('\\n')") == ["200", "199"]
    page.do("keyboard.press", "End")
    assert page.see("document.activeElement.innerText.split('\\n')") == ["300", "299"]


def test_the_focus_is_not_lost_with_the_page_it_was_in(fleet, open_page):
    page = open_page(fleet.base)
    page.do("keyboard.press", "/")
    page.do("keyboard.type", fleet.uri)
    page.do("keyboard.press", "Enter")
    page.until(f"location.hash.includes({fleet.uri!r})")
    page.until('document.activeElement.id === "page"')


# ---- faults ----


def test_what_is_looked_at_survives_the_death_of_a_gateway(start_fleet, open_page):
    fleet = start_fleet(gateways=2, pollers=1, interval=0.2)
    names = [f"s{n}" for n in range(500)]
    fleet.upstream.set("/servers", servers(*names))
    balancer = Balancer([gateway.port for gateway in fleet.gateways])
    fleet.closers.append(balancer.close)
    url = watch_url(balancer.url, "/servers", sort="-name", filter="s")
    page = open_page(url)
    page.until('document.querySelectorAll(".rows .row").length > 5')
    page.do("mouse.move", 300, 400)
    page.do("mouse.wheel", 0, 3000)
    page.until('document.querySelector(".scroller")?.scrollTop > 2000')
    page.do("mouse.click", 300, 400)
    title = page.until(OPEN_TITLE)
    scrolled = page.see('document.querySelector(".scroller").scrollTop')

    def watched_by(gateway):
        return gateway.metric("uricast_gateway_subscriptions") >= 1

    until_now(lambda: any(watched_by(g) for g in fleet.gateways), "a gateway has it")
    holder = next(gateway for gateway in fleet.gateways if watched_by(gateway))
    other = next(gateway for gateway in fleet.gateways if gateway is not holder)
    holder.kill()
    until_now(lambda: watched_by(other), "the other gateway has it")
    fleet.upstream.set(
        "/servers", servers(*names, note={name: "later" for name in names})
    )
    page.until('document.querySelector(".rows")?.innerText.includes("later")')
    page.until(LIVE)
    assert page.see(OPEN_TITLE) == title
    assert page.see('document.querySelector(".scroller").scrollTop') == scrolled
    assert page.see('document.getElementById("filter").value') == "s"
    order = [name for name in page.names()]
    assert order == sorted(order, key=lambda name: -int(name[1:]))


def test_an_upstream_that_fails_is_said_and_its_rows_stay(fleet, open_page):
    page = show(fleet, open_page, servers("a", "b"))
    fleet.show({"no": "more"}, status=503)
    page.until('document.querySelector(".status .pill")?.textContent === "stale"')
    page.until(
        """document.querySelector(".banner").checkVisibility() &&
        document.querySelector(".banner").innerText.includes("503")"""
    )
    page.await_names(["a", "b"])
    # Of later tries that fail alike nothing is said.
    page.until('!document.querySelector(".banner").innerText.includes("next try")')
    assert page.see('document.querySelector(".banner").innerText.includes("since")')
    fleet.show(servers("a", "b", "c"))
    page.until('document.querySelector(".status .pill")?.textContent === "fresh"')
    page.until('!document.querySelector(".banner").checkVisibility()')


def cloud(fleet):
    """A service with two regions, each below a path of its own."""
    regions = {name: {"url": f"{fleet.upstream.url}/{name}"} for name in ("dfw", "ord")}
    resources = {"servers": {"path": "/servers", "interval": "200ms"}}
    return {"services": {"compute": {"regions": regions, "resources": resources}}}


def test_an_aggregate_is_one_table_with_each_regions_state(start_fleet, open_page):
    fleet = start_fleet(gateways=1, pollers=1, config=cloud)
    fleet.upstream.set("/dfw/servers", {"servers": servers("a", "b")})
    fleet.upstream.set("/ord/servers", {"servers": servers("a")})
    base = f"http://127.0.0.1:{fleet.gateways[0].port}/"
    page = open_page(watch_url(base, "compute/servers"))
    page.until('document.querySelectorAll(".rows .row").length === 3')
    page.await_names(["dfw", "dfw", "ord"])
    fleet.upstream.set("/ord/servers", {}, status=500)
    page.until(
        """[...document.querySelectorAll(".regions .pill")]
        .map((pill) => pill.innerText).join() === "dfw,ord: stale" """
    )
    page.await_names(["dfw", "dfw", "ord"])
    # Not only for who can hover.
    said = page.see('document.querySelector(".banner").innerText')
    assert said.startswith("ord: ") and "answered 500" in said
    assert page.see('document.querySelector(".banner").checkVisibility()')
    fleet.upstream.set("/ord/servers", {"servers": servers("a")})
    page.until('!document.querySelector(".banner").checkVisibility()')


# ---- access ----


@pytest.fixture
def guarded(start_fleet, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text("a-token-of-the-panel\n")
    fleet = start_fleet(
        gateways=1,
        pollers=1,
        interval=0.2,
        gateway_options=["--token-file", tokens],
    )
    fleet.base = f"http://127.0.0.1:{fleet.gateways[0].port}/"
    return fleet


def test_a_token_is_asked_for_where_one_is_wanted(guarded, open_page):
    asked = 'document.getElementById("token-dialog").open'
    guarded.upstream.set("/servers", servers("a", "b"))
    page = open_page(watch_url(guarded.base, "/servers"))
    page.until(asked)
    page.do("fill", "#token", "not-that-one")
    page.do("keyboard.press", "Enter")
    page.until(f'{asked} && document.getElementById("token-wrong").textContent !== ""')
    page.do("fill", "#token", "a-token-of-the-panel")
    page.do("keyboard.press", "Enter")
    page.until('document.querySelectorAll(".rows .row").length === 2')
    page.do("reload")
    page.until('document.querySelectorAll(".rows .row").length === 2')
    assert not page.see(asked)
    assert not page.see("document.cookie + JSON.stringify(localStorage)").strip("{}")


# ---- the fleet ----


def test_the_fleet_page_is_live(start_fleet, open_page):
    fleet = start_fleet(gateways=2, pollers=2, interval=0.2)
    base = f"http://127.0.0.1:{fleet.gateways[0].port}/"
    fleet.upstream.set("/servers", servers("a"))
    watcher = open_page(watch_url(base, "/servers"))
    watcher.until('document.querySelectorAll(".rows .row").length === 1')
    page = open_page(f"{base}#/fleet")
    page.until('document.querySelector(".fleet")?.innerText.includes("/servers")')
    for name in ("gateways", "pollers"):
        page.until(
            f"""[...document.querySelectorAll(".tiles div")].some((tile) =>
            tile.innerText.replace(/\\s+/g, " ") === "{name} 2")"""
        )
    fleet.pollers[1].terminate()
    page.until(
        """[...document.querySelectorAll(".tiles div")].some((tile) =>
        tile.innerText.replace(/\\s+/g, " ") === "pollers 1")"""
    )
    page.do("click", '.address a:has-text("/servers")')
    page.until('document.querySelectorAll(".rows .row").length === 1')


# ---- for everybody ----

SCHEMES = ("light", "dark")


def check(page, what):
    found = page.violations()
    assert not found, f"{what}:\n" + "\n".join(found)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_wrong(fleet, open_page, scheme):
    fleet.upstream.set("/info", {"name": "demo", "inside": {"n": None}})
    page = show(fleet, open_page, servers("a", "b"))
    options = {"colorScheme": scheme, "bypassCSP": True}
    page = open_page(watch_url(fleet.base, fleet.uri, sort="name"), **options)
    page.until('document.querySelectorAll(".rows .row").length === 2')
    page.point_at("a")
    page.do("mouse.click", *page.row("a"))
    fleet.show(servers("b", "c"))
    page.until(IS_WAITING)
    check(page, "table")
    page.do("click", "summary")
    check(page, "columns")
    page = open_page(watch_url(fleet.base, "/info"), **options)
    page.until('document.querySelector("[role=tree]")?.innerText.includes("demo")')
    check(page, "tree")
    page = open_page(f"{fleet.base}#/fleet", **options)
    page.until(
        'document.querySelector(".fleet").innerText.includes("' + fleet.uri + '")'
    )
    check(page, "fleet")
    page = open_page(fleet.base, **options)
    page.until(
        'document.querySelector(".watched").innerText.includes("' + fleet.uri + '")'
    )
    check(page, "front")


@pytest.mark.parametrize("width", (360, 1280))
def test_nothing_scrolls_sideways_but_tables(fleet, open_page, width):
    size = {"width": width, "height": 640}
    name = "a-name-that-goes-on-and-on-without-any-place-to-break-it-" * 3
    fleet.show(servers(name, "b"))
    fleet.upstream.set("/info", {"name": name})
    for uri in (fleet.uri, "/info"):
        page = open_page(watch_url(fleet.base, uri), viewport=size)
        page.until(
            f'document.querySelector(".content").innerText.includes("{name[:9]}")'
        )
        assert page.see(WIDTH) <= width
    page = open_page(f"{fleet.base}#/fleet", viewport=size)
    page.until(
        'document.querySelector(".fleet").innerText.includes("' + fleet.uri + '")'
    )
    assert page.see(WIDTH) <= width


def test_nothing_moves_for_those_who_want_no_motion(fleet, open_page):
    fleet.show(servers("a", "b"))
    page = open_page(watch_url(fleet.base, fleet.uri), reducedMotion="reduce")
    page.until('document.querySelectorAll(".rows .row").length === 2')
    fleet.show(servers("a", "b", load={"a": 42}))
    easings = page.until(
        """(() => {
        const running = document.getAnimations();
        return running.length && running.map((a) => a.effect.getTiming().easing);
    })()"""
    )
    assert all(easing.startswith("steps(1") for easing in easings), easings


# ---- behind a load balancer ----


def test_the_dashboard_is_live_through_haproxy_with_tls(fleet, open_page, tmp_path):
    haproxy = HAProxy(tmp_path, fleet.gateways).start()
    try:
        base = f"https://localhost:{haproxy.port}/"
        fleet.show(servers("a", "b"))
        page = open_page(watch_url(base, fleet.uri), ignoreHTTPSErrors=True)
        page.until(LIVE)
        fleet.show(servers("a", "b", "c"))
        page.until('document.querySelector(".rows")?.innerText.includes("c")')
        page.close()
    finally:
        haproxy.end()
