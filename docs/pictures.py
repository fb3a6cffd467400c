"""Pictures of the demo's pages for README, by headless Chromium.

Usage: ./demo.sh && .venv/bin/python docs/pictures.py cmb_demo/derivatives docs
"""

import shutil
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

#: For a machine without a graphics card.
WEBGL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


def take(page: Page, path: Path) -> None:
    """Write what the window shows."""
    page.wait_for_timeout(10000)
    Image.open(BytesIO(page.screenshot())).save(path, quality=80, method=6)
    print(path)


def main() -> None:
    """Open the pages as a person would."""
    derivatives, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", *WEBGL])
        page = browser.new_page(viewport={"width": 1480, "height": 1000})
        page.goto((derivatives / "sub-02.html").as_uri())
        page.get_by_role("textbox", name="Reader").fill("AB")
        page.get_by_role("button", name="Start", exact=True).click()
        page.get_by_label("Order").select_option("probability")
        card = page.locator("[data-lesion]").first
        card.get_by_role("button", name="Show in volume").click()
        card.scroll_into_view_if_needed()
        take(page, folder / "report.webp")
        browser.close()


if __name__ == "__main__":
    main()
