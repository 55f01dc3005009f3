"""Writes static/img/icon-*.png out of mark.svg, with the browser that the tests use."""

from __future__ import annotations

from playwright.sync_api import sync_playwright

from tests.e2e.conftest import CHROMIUM_ARGS, chromium
from tests.examples.running import ROOT

IMAGES = ROOT / "static/img"
# File, size in pixels, and how much of it the mark takes: a mask cuts off the corners.
ICONS = (
    ("icon-180", 180, 1.0),
    ("icon-192", 192, 1.0),
    ("icon-512", 512, 1.0),
    ("icon-maskable-512", 512, 0.72),
)


def main() -> None:
    mark = (IMAGES / "mark.svg").read_text()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGS)
        for name, size, share in ICONS:
            page = browser.new_page(viewport={"width": size, "height": size})
            ground = "#12344d" if share < 1 else "transparent"
            page.set_content(
                f"<style>body{{margin:0;display:grid;place-items:center;height:100vh;"
                f"background:{ground}}}svg{{width:{100 * share}vw}}</style>{mark}"
            )
            page.screenshot(path=IMAGES / f"{name}.png", omit_background=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
