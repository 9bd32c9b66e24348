"""The browser's data layer in real Chromium, against real gateways and pollers."""

import gzip
import json
import subprocess
import time

from browser import HERE, WEB
from harness import LINGER, SANITIZED, TOP, until_now
from page import connect, is_in, numbers_told, padded, shows, states_told, watch


def test_a_page_has_the_content_and_every_change(small, open_page):
    small.upstream.set("/nodes", padded(1))
    page = open_page()
    connect(page, small.urls)
    watch(page, "/nodes")
    page.until(shows(1))
    small.upstream.set("/nodes", padded(2))
    page.until(shows(2))
    assert numbers_told(page) == [1, 2]
    assert states_told(page) == ["fresh"]
    assert page.run("return c.status.transport") == "websocket"


# One subscription for all, and what they are told.


def test_an_address_is_subscribed_to_once_and_a_later_one_has_the_value_at_once(
    small, open_page
):
    small.upstream.set("/nodes", padded(1))
    gateway = small.gateways[0]
    page = open_page()
    connect(page, small.urls)
    watch(page, "/nodes")
    page.until(shows(1))
    later = page.run(
        """globalThis.several = Array.from({ length: 20 }, () => watch(c, "/nodes"));
        const values = several.map(({ value }) => value === s["/nodes"].value);
        const count = told.length;
        await undefined;
        return [values.every(Boolean), told.length - count];"""
    )
    assert later == [True, 40]
    assert gateway.metric("uricast_gateway_subscriptions") == 1
    page.run(
        "several.forEach((subscription) => subscription.close()); await sleep(50);"
    )
    small.upstream.set("/nodes", padded(2))
    page.until(shows(2))
    page.run("s['/nodes'].close();")
    until_now(
        lambda: gateway.metric("uricast_gateway_subscriptions") == 0, "unsubscribed"
    )


def test_what_a_callback_throws_disturbs_no_other(small, open_page):
    small.upstream.set("/nodes", padded(1))
    page = open_page()
    connect(page, small.urls)
    page.run(
        """globalThis.caught = [];
        addEventListener("error", (event) => {
            caught.push(event.message);
            event.preventDefault();
        });
        c.subscribe("/nodes", { content() { throw new Error("my own fault"); } });
        watch(c, "/nodes");"""
    )
    page.until(shows(1))
    page.until("caught.length === 1 && told.length === 2")
    page.browser.ask("errors")


def test_one_changed_row_of_ten_thousand_is_one_other_object(small, open_page):
    rows = [{"id": n, "name": f"server{n}", "load": 0} for n in range(10000)]
    small.upstream.set("/servers", {"servers": rows})
    page = open_page()
    connect(page, small.urls)
    page.run(
        """globalThis.changes = [];
        globalThis.s = c.subscribe("/servers", { rows: (some) => changes.push(some) });"""
    )
    page.until("changes.length === 1")
    page.run("globalThis.before = s.value.servers; before[0].mark = true;")
    rows[5000]["load"] = 7
    small.upstream.set("/servers", {"servers": rows})
    page.until("changes.length === 2")
    found = page.run(
        """const after = s.value.servers;
        const { added, removed, changed } = changes[1];
        return {
            first: changes[0].added.length,
            same: after.filter((row, n) => row === before[n]).length,
            other: after.findIndex((row, n) => row !== before[n]),
            added: added.length,
            removed: removed.length,
            changed: changed.map(({ key, row, before }) => [key, before.load, row.load]),
        };"""
    )
    print("10 000 rows:", found)
    assert found == {
        "first": 10000,
        "same": 9999,
        "other": 5000,
        "added": 0,
        "removed": 0,
        "changed": [["5000", 0, 7]],
    }


def test_what_comes_whole_keeps_the_rows_that_are_the_same(small, open_page):
    """A gateway sends no patch that is larger than the content."""
    small.upstream.set("/rows", [{"id": 1, "a": 1}, {"id": 2, "a": 1}])
    page = open_page()
    connect(page, small.urls, transports=["longpoll"])
    watch(page, "/rows")
    page.until("c.peek('/rows').version")
    page.run("globalThis.before = c.peek('/rows').value;")
    small.upstream.set("/rows", [{"id": 3, "a": 1}, {"id": 2, "a": 1}])
    page.until("c.peek('/rows').value !== before")
    assert page.run("return c.peek('/rows').value[1] === before[1]")


# Refusals, caps.


def test_one_bad_address_says_so_and_spares_the_others(small, open_page):
    small.upstream.set("/nodes", padded(1))
    for transport in ["websocket", "sse", "longpoll"]:
        page = open_page()
        connect(page, small.urls, transports=[transport])
        watch(page, "/a%7eb")
        watch(page, "/nodes")
        page.until(shows(1))
        page.until(is_in("error", "not_canonical", "/a%7eb"))
        assert page.run("return c.peek('/a%7eb').error.canonical") == "/a~b"


def test_beyond_the_gateways_cap_the_rest_is_refused_until_there_is_room(
    start, open_page
):
    config = lambda fleet: {
        "gateway": {"limits": {"subscriptions": 60}},
        "services": {"a": {"url": fleet.upstream.url, "default": True}},
    }
    fleet = start(gateways=1, pollers=1, config=config)
    for n in range(70):
        fleet.upstream.set(f"/{n}", padded(n))
    page = open_page()
    connect(page, fleet.urls)
    page.run(
        """globalThis.s = Array.from({ length: 70 }, (_, n) => watch(c, `/${n}`));
        globalThis.inState = (state) => s.filter((one) => one.state === state);"""
    )
    page.until("inState('fresh').length === 60 && inState('error').length === 10")
    codes = page.run(
        "return [...new Set(inState('error').map((one) => one.error.code))]"
    )
    assert codes == ["too_many_subscriptions"]
    page.run("inState('fresh').slice(0, 10).forEach((one) => one.close());")
    page.until("s.slice(60).every((one) => one.state === 'fresh')")


def test_more_subscriptions_than_messages_a_second_all_come_back(start, open_page):
    fleet = start(gateways=2, pollers=1, interval=1)
    for n in range(120):
        fleet.upstream.set(f"/{n}", padded(n))
    page = open_page()
    connect(page, [fleet.balancer.url])
    page.run(
        """globalThis.s = Array.from({ length: 120 }, (_, n) => watch(c, `/${n}`));
        globalThis.fresh = () => s.filter((one) => one.state === "fresh").length;"""
    )
    page.until("fresh() === 120")
    before = fleet.gateways[0].metrics(), fleet.gateways[1].metrics()
    fleet.balancer.cut()
    for n in range(120):
        fleet.upstream.set(f"/{n}", padded(n + 1000))
    page.until("s.every((one, n) => one.value.n === n + 1000 && one.state === 'fresh')")
    refused = "uricast_gateway_messages_refused_total"
    after = fleet.gateways[0].metrics(), fleet.gateways[1].metrics()
    assert [m[refused] for m in before] == [m[refused] for m in after]


# Being looked at.


def test_a_hidden_page_is_no_interest_and_is_current_when_it_is_shown(small, open_page):
    small.upstream.set("/nodes", padded(0))
    pages = [open_page(), open_page()]
    for page in pages:
        connect(page, small.urls)
        watch(page, "/nodes")
        page.until(shows(0))
    visible = lambda: small.redis.client.hget(
        "uricast:interest:/nodes",
        small.redis.client.zrange("uricast:gateways", 0, -1)[0],
    )
    count = lambda: int((visible() or "0").split()[0])
    until_now(lambda: count() == 2, "both count")
    pages[1].hide()
    until_now(lambda: count() == 1, "the hidden one does not count")
    small.upstream.set("/nodes", padded(1))
    pages[0].until(shows(1))
    pages[0].hide()
    until_now(
        lambda: small.upstream.count("/nodes", time.monotonic() - 1) == 0,
        "polling stops",
        deadline=LINGER + 15,
    )
    asked = small.upstream.count("/nodes")
    time.sleep(1)  # five intervals in which nothing may happen
    assert small.upstream.count("/nodes") == asked
    assert pages[1].run("return c.status.state") == "paused"
    assert numbers_told(pages[1]) == [0]
    print("both hidden: polls in 1 s:", small.upstream.count("/nodes") - asked)

    pages[0].show()
    small.upstream.set("/nodes", padded(2))
    pages[0].until(shows(2))
    took = pages[1].run(
        """const shownAt = performance.now();
        const shown = new Promise((resolve) => s["/nodes"] = c.subscribe("/nodes", {
            content: ({ n }) => n === 2 && resolve(performance.now() - shownAt),
        }));
        Object.defineProperty(document, "visibilityState",
            { configurable: true, value: "visible" });
        document.dispatchEvent(new Event("visibilitychange"));
        return shown;"""
    )
    print(f"shown again: current after {took:.0f} ms")
    assert took < (2000 if SANITIZED else 200)
    assert numbers_told(pages[1]) == [0, 2]


def test_an_event_stream_or_long_poll_of_a_hidden_page_ends(small, open_page):
    small.upstream.set("/nodes", padded(0))
    gateway = small.gateways[0]
    for n, transport in enumerate(["sse", "longpoll"]):
        page = open_page()
        connect(page, small.urls, transports=[transport])
        watch(page, "/nodes")
        page.until(shows(2 * n))
        page.hide()
        until_now(
            lambda: gateway.metric("uricast_gateway_subscriptions") == 0, "no interest"
        )
        small.upstream.set("/nodes", padded(2 * n + 1))
        page.show()
        page.until(shows(2 * n + 1))
        small.upstream.set("/nodes", padded(2 * n + 2))
        page.until(shows(2 * n + 2))
        page.close()
        page.close = lambda: None


def test_what_is_scrolled_away_is_no_interest(small, open_page):
    small.upstream.set("/nodes", padded(0))
    small.upstream.set("/far", padded(0))
    gateway = small.gateways[0]
    subscriptions = lambda: gateway.metric("uricast_gateway_subscriptions")
    page = open_page()
    connect(page, small.urls)
    page.run(
        """document.body.innerHTML =
            '<p id="near">near</p><div style="height: 5000px"></div><p id="far">far</p>';
        watch(c, "/nodes", { visible: document.getElementById("near") });
        globalThis.view = c.view({
            dependencies: ["/far"],
            element: document.getElementById("far"),
            onLoaded: ({ loaded }) => told.push(loaded.get("/far").n),
            onChange: (_, { n }) => told.push(n),
        }).enter();"""
    )
    page.until(shows(0))
    assert subscriptions() == 1
    assert small.upstream.count("/far") == 0
    page.run(
        """globalThis.sent = [];
        const { send } = WebSocket.prototype;
        WebSocket.prototype.send = function (text) {
            sent.push(JSON.parse(text));
            send.call(this, text);
        };
        const below = watch(c, "/below", { visible: document.getElementById("far") });
        await sleep(100);
        below.close();"""
    )
    assert page.run("return sent") == []
    page.run("scrollTo(0, 6000);")
    page.until(shows(0, "/far"))
    until_now(lambda: subscriptions() == 1, "/nodes is out of sight")
    page.run("scrollTo(0, 0);")
    until_now(lambda: small.upstream.asked("/far"), "it was asked for")
    small.upstream.set("/nodes", padded(1))
    page.until(shows(1))
    until_now(lambda: subscriptions() == 1, "/far is out of sight")
    assert page.run("view.exit(); await sleep(20); return c.sizes.addresses") == 1


# Asking.


def test_get_is_the_held_value_or_one_request(small, open_page):
    small.upstream.set("/nodes", padded(1))
    small.upstream.set("/motd", "hello", content_type="text/plain")
    page = open_page()
    connect(page, small.urls)
    assert (
        page.run("return (await Promise.all([c.get('/nodes'), c.get('/nodes')]))[1].n")
        == 1
    )
    assert page.run("return c.get('/motd')") == "hello"
    watch(page, "/nodes")
    page.until(shows(1))
    assert page.run("return (await c.get('/nodes')) === s['/nodes'].value")
    code = page.run(
        "return c.get('/none').catch((error) => [error.code, error.status])"
    )
    assert code == ["upstream_status", 404]
    code = page.run("return c.get('/../x').catch((error) => error.code)")
    assert code == "bad_address"
    assert page.run("return c.sizes") == {
        "addresses": 1,
        "subscriptions": 1,
        "asked": 0,
    }


def test_refresh_and_status_are_asked_of_the_gateway(start, open_page):
    fleet = start(gateways=1, pollers=1, interval=60)
    fleet.upstream.set("/nodes", padded(1))
    page = open_page()
    connect(page, fleet.urls)
    watch(page, "/nodes")
    page.until(shows(1))
    fleet.upstream.set("/nodes", padded(2))
    page.run("await s['/nodes'].refresh();")
    page.until(shows(2))
    status = page.run("return s['/nodes'].status()")
    assert status["state"] == "fresh"
    assert status["interval"] == 60
    assert status["version"] == page.run("return s['/nodes'].version")
    codes = page.run(
        "const again = () => s['/nodes'].refresh().catch((error) => error.code);"
        "return Promise.all([again(), again(), again()])"
    )
    assert "rate_limited" in codes


# Loads and views.


def test_require_loads_as_a_whole_in_part_or_not_at_all(small, open_page):
    small.upstream.set("/a", padded(1))
    small.upstream.set("/b", padded(2))
    page = open_page()
    connect(page, small.urls)
    whole = page.run(
        """const [one, two] = [c.require(["/a", "/b"]), c.require(["/a"])];
        const during = c.sizes;
        const { loaded, complete } = await one;
        await two;
        await sleep(20);
        const values = [...loaded].map(([address, { n }]) => [address, n]);
        return { values, complete, during, after: c.sizes };"""
    )
    assert whole["values"] == [["/a", 1], ["/b", 2]]
    assert whole["complete"] is True
    assert whole["during"]["addresses"] == 2
    assert not any(whole["after"].values())
    part = page.run(
        """const load = c.require(["/a", "/none", "/../x"]);
        const { loaded, failed, complete } = await load;
        return [[...loaded.keys()], [...failed].map(([a, { code }]) => [a, code]), complete,
            (await load.each.get("/a")).n,
            await load.each.get("/none").catch((error) => error.address)];"""
    )
    assert part == [
        ["/a"],
        [["/none", "upstream_status"], ["/../x", "bad_address"]],
        False,
        1,
        "/none",
    ]
    none = page.run(
        """return c.require(["/none"]).catch((e) => [e.code, [...e.failed.keys()]])"""
    )
    assert none == ["load_failed", ["/none"]]
    small.upstream.set("/slow", delay=30)
    code = page.run(
        """return c.require(["/slow"], { timeout: 300 })
            .catch((error) => error.failed.get("/slow").code)"""
    )
    assert code == "no_content"


def regions(fleet):
    """A service of two regions, each its own upstream."""
    names = ["dfw", "ord"]
    for _ in names[1:]:
        fleet.add_upstream()
    return {
        "services": {
            "compute": {
                "interval": "0.2s",
                "regions": {
                    name: {"url": upstream.url}
                    for name, upstream in zip(names, fleet.upstreams)
                },
                "resources": {"servers": {"path": "/servers"}},
            }
        }
    }


def test_a_view_of_an_aggregate_loads_in_part_and_names_the_failing_regions(
    start, open_page
):
    fleet = start(gateways=1, pollers=1, config=regions)
    dfw, ord_ = fleet.upstreams
    dfw.set("/servers", [{"id": 1, "name": "a"}])
    ord_.set("/servers", status=503)
    page = open_page()
    connect(page, fleet.urls)
    page.run(
        """globalThis.abort = new AbortController();
        globalThis.changes = [];
        globalThis.view = c.view({
            dependencies: ["compute/servers"],
            signal: abort.signal,
            onLoaded: ({ loaded, complete }) =>
                told.push(["loaded", complete, uricast.rowsOf(loaded.get("compute/servers"))]),
            onError: (failures) => told.push(
                ["error", failures.map(({ region, state, error }) => [region, state, error.code])]),
        }).enter();
        c.subscribe("compute/servers", { rows: (rows) => changes.push(rows) });"""
    )
    page.until(
        "told.some(([what]) => what === 'loaded') && told.some(([w]) => w === 'error')"
    )
    told = page.run("return told")
    row = {"key": "dfw/1", "region": "dfw", "row": {"id": 1, "name": "a"}}
    assert told[0] == ["loaded", False, [row]]
    assert told[-1] == ["error", [["ord", "error", "upstream_status"]]]
    ord_.set("/servers", [{"id": 1, "name": "b"}])
    page.until("told.at(-1)[0] === 'error' && told.at(-1)[1].length === 0")
    page.until("changes.at(-1).added.length === 1")
    added = page.run("return changes.at(-1).added[0].key")
    assert added == "ord/1"
    page.run("abort.abort(); await sleep(20);")
    assert page.run("return [view.entered, view.subscriptions.size]") == [False, 0]


def test_an_hour_of_navigation_leaks_nothing(small, open_page):
    """A thousand enters and exits, in all orders that a router may find."""
    rows = [{"id": n, "text": "x" * 100} for n in range(100)]
    for n in range(10):
        small.upstream.set(f"/{n}", rows)
    page = open_page()
    connect(page, small.urls)
    found = page.run(
        """const heap = async () => {
            for (let n = 0; n < 5; n++) { gc(); await sleep(20); }
            return performance.memory.usedJSHeapSize;
        };
        const element = document.body.appendChild(document.createElement("p"));
        const go = async (rounds) => {
            let left;
            for (let n = 0; n < rounds; n++) {
                const abort = new AbortController();
                const view = c.view({
                    dependencies: [`/${n % 10}`, `/${(n + 1) % 10}`],
                    signal: abort.signal,
                    ...(n % 3 === 0 && { element }),
                    onLoaded() {}, onError() {}, onChange() {},
                }).enter();
                left?.exit();
                left = n % 2 === 0 ? view : (abort.abort(), undefined);
                if (n % 10 === 0) await c.require([`/${n % 10}`]);
                if (n % 5 === 0) await sleep(5);
            }
            left?.exit();
            await sleep(100);
        };
        await go(200);
        const before = await heap();
        await go(1000);
        const after = await heap();
        return { sizes: c.sizes, before, after };"""
    )
    grown = found["after"] - found["before"]
    print(f"1000 enters and exits: {found['sizes']}, heap {grown:+} bytes")
    assert not any(found["sizes"].values())
    assert grown < 200_000
    gateway = small.gateways[0]
    until_now(
        lambda: gateway.metric("uricast_gateway_subscriptions") == 0, "nothing is held"
    )
    assert gateway.metric("uricast_gateway_messages_refused_total") == 0


# The hook.


def test_the_hook_shows_changes_and_shares_one_subscription(small, open_page):
    small.upstream.set("/nodes", padded(1))
    small.upstream.set("/other", padded(10))
    page = open_page()
    page.run(
        """const { connect, createElement, createRoot, Shown, StrictMode } =
            await import("./react.js");
        globalThis.c = connect(argument);
        globalThis.rendered = [];
        globalThis.root = createRoot(document.body);
        globalThis.render = (addresses) => root.render(createElement(StrictMode, null,
            addresses.map((address, key) =>
                createElement(Shown, { key, address, connection: c, rendered }))));
        render(["/nodes", "/nodes", null]);""",
        {"urls": small.urls},
    )
    page.until("document.body.textContent.match(/fresh/g)?.length === 2")
    gateway = small.gateways[0]
    subscriptions = lambda: gateway.metric("uricast_gateway_subscriptions")
    assert subscriptions() == 1
    assert (
        page.run("return document.body.lastChild.textContent") == "loading  undefined"
    )
    renders = page.run("return rendered.length")
    small.upstream.set("/nodes", padded(2))
    page.until('document.body.textContent.match(/\\"n\\":2/g)?.length === 2')
    # Each of two components once, doubled by StrictMode.
    assert page.run("return rendered.length") - renders == 4
    page.run("""render(["/other"]);""")
    page.until("document.body.textContent.includes('\"n\":10')")
    until_now(lambda: subscriptions() == 1, "only the other one")
    page.run("root.unmount(); await sleep(50);")
    assert page.run("return c.sizes.subscriptions") == 0
    until_now(lambda: subscriptions() == 0, "none")


# What it is made of.


def test_the_table_of_the_documentation_lives(small, site, chromium):
    text = (TOP / "docs/browser.md").read_text()
    example = text.split("```html\n")[1].split("```")[0]
    example = example.replace("http://127.0.0.1:7070/", small.urls[0])
    site.files["/example.html"] = ("text/html", example.encode())
    nodes = [{"name": "node1", "mfree": 100, "load": 0.5}]
    small.upstream.set("/nodes?bulk=1", nodes)
    page = chromium.open(f"{site.origin}/example.html")
    page.until("document.querySelector('table').textContent === 'node11000.5'")
    nodes[0]["load"] = 0.7
    small.upstream.set("/nodes?bulk=1", nodes)
    page.until("document.querySelector('table').textContent === 'node11000.7'")
    page.close()


def test_it_is_small(scripts):
    size = len(gzip.compress(scripts["/uricast.js"][1], 9, mtime=0))
    print(f"uricast.js, minified and compressed: {size} bytes")
    assert size < 8192


def test_its_types_are_sound_and_tell_what_there_is(tmp_path):
    tsc = WEB / "node_modules/.bin/tsc"
    command = [
        tsc,
        "--noEmit",
        "--strict",
        "--target",
        "es2022",
        "--module",
        "nodenext",
    ]
    command += ["--lib", "es2022,dom", HERE / "types.ts"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    listed = "import * as all from './uricast.js'; console.log(JSON.stringify(Object.keys(all)))"
    done = subprocess.run(
        ["node", "--input-type=module", "-e", listed],
        cwd=WEB / "client",
        capture_output=True,
        check=True,
    )
    text = (WEB / "client/uricast.d.ts").read_text()
    for name in json.loads(done.stdout):
        assert f"function {name}" in text or f"class {name}" in text
