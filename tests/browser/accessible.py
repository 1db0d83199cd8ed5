"""What axe finds on a page that people with disabilities cannot use or read."""

from typing import Any

from playwright.sync_api import Page

from tests.clients.npm import install

WCAG = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
CONTRAST = {"type": "rule", "values": ["color-contrast"]}
SHOWN = 5  # places of a rule


def violations(page: Page, rules: dict[str, Any] = WCAG) -> list[str]:
    """A line for each rule that the page breaks, with some of the places."""
    # Not as a script of the page, which its Content-Security-Policy would refuse.
    page.evaluate((install("axe") / "node_modules/axe-core/axe.min.js").read_text())
    found: dict[str, Any] = page.evaluate("runOnly => axe.run(document, {runOnly})", rules)
    lines = []
    for rule in found["violations"]:
        places = [(*node["target"], node["failureSummary"]) for node in rule["nodes"]]
        lines.append(f"{rule['id']} ({len(places)}): {places[:SHOWN]}")
    return lines
