"""Accessibility of the page that a browser shows, by axe-core."""

from typing import Any

from playwright.sync_api import Page

from tests.clients.npm import install

SERIOUS = ("serious", "critical")


def violations(page: Page) -> list[str]:
    """What is serious: the rule, and the first elements that break it."""
    source = (install("axe") / "node_modules" / "axe-core" / "axe.min.js").read_text()
    page.evaluate(f"() => {{ {source} }}")  # past the Content-Security-Policy, which forbids elements of a script
    found: list[dict[str, Any]] = page.evaluate("async () => (await axe.run()).violations")
    return [
        f"{each['id']}: {[node['html'][:160] for node in each['nodes'][:3]]}"
        for each in found
        if each["impact"] in SERIOUS
    ]
