"""What tests of the browser's data layer do in a page."""


def connect(page, urls, **options):
    page.run("globalThis.c = uricast.connect(argument);", {"urls": urls, **options})


def watch(page, address):
    page.run("(globalThis.s ??= {})[argument] = watch(c, argument);", address)


def padded(n):
    """So large that a patch is worth while."""
    return {"n": n, "padding": "abcdefghij" * 40}


def shows(n, address="/nodes"):
    held = f"c.peek('{address}')"
    return f"{held}.value?.n === {n} && {held}.state === 'fresh'"


def is_in(state, code, address="/nodes"):
    held = f"c.peek('{address}')"
    return f"{held}.state === '{state}' && {held}.error?.code === '{code}'"


def numbers_told(page):
    return page.run("return told.filter((t) => t.version).map((t) => t.value.n)")


def states_told(page):
    return page.run(
        "return told.filter((t) => t.state).map((t) => t.error?.code ?? t.state)"
    )
