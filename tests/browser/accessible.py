"""What axe finds on a page that people with disabilities cannot use or read."""

from typing import Any

from playwright.sync_api import Page

from tests.clients.npm import install

WCAG = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
CONTRAST = {"type": "rule", "values": ["color-contrast"]}
SERIOUS = ("serious", "critical")
SHOWN = 5  # places of a rule


def violations(page: Page, rules: dict[str, Any] = WCAG) -> list[str]:
    """A line for each rule that the page breaks, with some of the places."""
    return [_line(rule) for rule in _found(page, {"runOnly": rules})]


def serious(page: Page) -> list[str]:
    """The same for all rules, also those of good practice, but only what is serious."""
    return [_line(rule) for rule in _found(page, {}) if rule["impact"] in SERIOUS]


def _found(page: Page, options: dict[str, Any]) -> list[dict[str, Any]]:
    source = (install("axe") / "node_modules/axe-core/axe.min.js").read_text()
    # Not as a script of the page, which its Content-Security-Policy would refuse.
    page.evaluate(f"() => {{ {source} }}")
    found: list[dict[str, Any]] = page.evaluate(
        "async options => (await axe.run(document, options)).violations", options
    )
    return found


def _line(rule: dict[str, Any]) -> str:
    places = [(*node["target"], node["failureSummary"]) for node in rule["nodes"]]
    return f"{rule['id']} ({len(places)}): {places[:SHOWN]}"
