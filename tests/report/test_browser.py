"""The page in a browser: it can be walked, sorted, searched, themed, saved and printed, and does nothing else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from segmentor.report import figure_data
from segmentor.result import RunResult

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.base", reason="axe-core is not installed")

SHOPS = ["laundry", "discovered", "nothing separates", "untestable", "grown", "searched", "undivided", "hostile"]
CHINESE = [f"{shop} in Chinese" for shop in ("discovered", "grown", "searched", "undivided", "untestable")]
WIDTHS = (390, 768, 1440)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OPEN_ALL = "document.querySelectorAll('main details').forEach(each => { each.open = true; })"
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

Opener = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of a worker."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    # In containers root has no sandbox to give, and shared memory is small.
    unprivileged = [] if hasattr(os, "geteuid") and os.geteuid() else ["--no-sandbox"]
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium, args=[*unprivileged, "--disable-dev-shm-usage"])
        yield started
        started.close()


@pytest.fixture
def opened(browser: Browser, pages: dict[str, str], tmp_path: Path) -> Iterator[Opener]:
    """Opens the page of a shop, or any page, from a file; after the test nothing may have gone wrong or been asked for."""
    contexts, wrong = [], []

    def open_page(shop: str, html: str = "", *, width: int = 1440, **settings: Any) -> Page:
        file = tmp_path / f"{shop.replace(' ', '-')}.html"
        file.write_text(html or pages[shop], encoding="utf-8")
        settings = {"color_scheme": "light", "reduced_motion": "reduce", "offline": True, **settings}
        context = browser.new_context(viewport={"width": width, "height": 900}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.on("console", lambda message: wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("popup", lambda popup: wrong.append(f"popup: {popup.url}"))
        page.on(
            "request",
            lambda request: None if request.url in (file.as_uri(), "about:blank") else wrong.append(request.url),
        )
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not [what for what in wrong if not what.startswith("blob:")]


def texts(page: Page, selector: str) -> list[str]:
    """What is read in each element, its spaces alike."""
    return [" ".join(text.split()) for text in page.locator(selector).all_inner_texts()]


@pytest.mark.parametrize("shop", [*SHOPS, *CHINESE])
def test_every_page_fits_every_width_without_an_error_or_a_request(shop: str, opened: Opener) -> None:
    """With all details open no page scrolls sideways, each section is named in the contents, and the console stays empty."""
    page = opened(shop)
    sections = page.eval_on_selector_all("main section", "all => all.map(each => '#' + each.id)")
    assert page.eval_on_selector_all(".menu a", "all => all.map(each => each.hash)") == sections
    page.evaluate(OPEN_ALL)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(TOO_WIDE) == 0, width


def test_contents_stay_and_mark_the_section_that_is_read(opened: Opener) -> None:
    """Wide, the list stands at the side; narrow, it is a menu in a bar that closes behind a choice."""
    page = opened("grown")
    page.locator(".menu a[href='#segments']").click()
    page.wait_for_function("document.querySelector('.menu [aria-current]')?.hash === '#segments'")
    assert page.locator(".menu").bounding_box()["y"] < 100
    assert abs(page.locator("#segments").bounding_box()["y"]) < 100
    page.set_viewport_size({"width": 390, "height": 800})
    menu = page.locator(".menu summary")
    assert not page.locator(".menu ul").is_visible()
    before = page.evaluate("scrollY")
    menu.click()
    assert page.evaluate("scrollY") == before > 0
    page.locator(".menu a[href='#answer']").click()
    page.wait_for_function("document.querySelector('.here').textContent === 'The answer'")
    assert not page.locator(".menu ul").is_visible()
    assert 0 <= menu.bounding_box()["y"] < 40
    page.locator(".to-top").click()
    page.wait_for_function("scrollY === 0")


def test_a_chinese_page_is_used_as_an_english_one(opened: Opener, tmp_path: Path) -> None:
    """Its headings, menu, theme, sorting, search and saved numbers are in Chinese, and Chinese text is text in figures."""
    page = opened("searched in Chinese")
    assert page.locator("html").get_attribute("lang") == "zh-Hans"
    assert texts(page, "h2")[0] == "答案"
    page.evaluate(OPEN_ALL)
    table = page.locator("table.candidates")
    rows = table.locator("tbody tr")
    before = rows.count()
    table.get_by_role("button", name="平均周期之比").click()
    assert table.locator("thead th[aria-sort]").get_attribute("aria-sort") == "ascending"
    find = page.locator("#search").get_by_label("查找").first
    find.fill("no such name")
    assert before > rows.locator("visible=true").count() == 0
    page.get_by_role("button", name="主题").click()
    assert page.locator("html").get_attribute("data-theme") == "light"
    assert page.locator("#splits svg text", has_text="距上次购买的天数").count()
    assert page.locator("#splits svg text").evaluate_all("all => all.every(each => each.getBBox().width > 0)")
    with page.expect_download() as saved:
        page.locator("#splits").get_by_role("button", name="保存为 CSV").first.click()
    saved.value.save_as(tmp_path / "saved.csv")
    assert (tmp_path / "saved.csv").read_text(encoding="utf-8-sig").splitlines()[0].split(",")[0] == "天"


def test_tables_sort_by_numbers_texts_and_verdicts(opened: Opener) -> None:
    """A heading sorts up, down, and back to what it was, and says so; numbers are numbers, and nothing comes last."""
    page = opened("searched")
    page.evaluate(OPEN_ALL)
    table = page.locator("table.candidates")
    rows = "table.candidates tbody tr"
    before = texts(page, rows)
    head = table.locator("thead th", has_text="Ratio of the mean cycles")
    ratio = head.locator("button")

    def ratios() -> list[float]:
        return [float(text.split()[0]) for text in texts(page, f"{rows} td[data-label=Ratio]")]

    ratio.click()
    assert head.get_attribute("aria-sort") == "ascending"
    rising = ratios()
    assert rising == sorted(rising)
    ratio.focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    falling = ratios()
    assert falling == sorted(falling, reverse=True)
    assert falling[0] >= rising[-1]
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") is None
    assert texts(page, rows) == before
    table.get_by_role("button", name="Customers").click()
    smallest = [int(text.split(",")[0].split()[-1]) for text in texts(page, f"{rows} td[data-label=Customers]")]
    assert smallest == sorted(smallest)
    splits = page.locator("table.splits")
    splits.get_by_role("button", name="Verdict").click()
    splits.get_by_role("button", name="Verdict").click()
    verdicts = [text.split(maxsplit=1)[1] for text in texts(page, "table.splits td[data-label=Verdict]")]
    assert verdicts == sorted(verdicts, key=["Cannot tell yet", "Does not matter", "Separates"].index)
    page.locator("table.ledger:has(button)").first.get_by_role("button", name="Split").click()
    names = texts(page, "table.ledger:has(button) >> nth=0 >> tbody th")
    assert names[:3] == ["Category 0", "Category 1", "Category 2"]
    assert names[14] == "Category 14"


def test_tables_are_searched_and_say_how_many_rows_are_left(opened: Opener) -> None:
    """Text and verdict narrow a table together; the rows that are shown are counted; all can be shown."""
    page = opened("searched")
    page.evaluate(OPEN_ALL)
    tools = page.locator(".tools:has(+ .scroll > table.candidates)")
    rows = page.locator("table.candidates tbody tr")
    shown = tools.locator(".shown")
    assert shown.inner_text() == "15 of 501 rows"
    tools.locator(".choose select").select_option("Does not matter")
    alike = int(shown.inner_text().split()[2])
    assert shown.inner_text() == f"15 of {alike} rows found, 501 in all"
    assert 0 < alike < 501
    tools.get_by_label("Find").fill("CATEGORY 49")
    assert 0 < rows.count() < 15
    assert all("Category 49" in text and "Does not matter" in text for text in texts(page, "table.candidates tbody tr"))
    tools.get_by_label("Find").fill("no such split")
    assert (rows.count(), shown.inner_text()) == (0, "0 of 0 rows found, 501 in all")
    tools.get_by_label("Find").fill("")
    tools.locator(".choose select").select_option("")
    page.locator("#search .more").first.click()
    assert (rows.count(), shown.inner_text()) == (501, "501 of 501 rows")


def test_a_phone_sorts_by_a_choice(opened: Opener) -> None:
    """Where rows stand below each other without headings, a list has what they can be sorted by."""
    page = opened("laundry", width=390)
    choice = page.locator(".tools:has(+ .scroll > table.splits)").get_by_label("Sort by")
    assert choice.is_visible()
    choice.select_option(label="p, adjusted ↓")
    values = texts(page, "table.splits td[data-label='p, adjusted']")
    assert [value.split()[-1] for value in values] == ["0.71", "0.17", "0.00093", "–"]


def test_ten_thousand_trials_open_at_once_and_sort_at_once(crowded_page: str, opened: Opener) -> None:
    """With 200 segments and 10,000 trials the page takes less than 2 s of a processor to open, and a sort less than half a second.

    What is folded away opens when a link leads into it.
    """
    page = opened("crowded", crowded_page)
    clock = page.context.new_cdp_session(page)
    clock.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy() -> float:
        metrics = clock.send("Performance.getMetrics")["metrics"]
        return next(each["value"] for each in metrics if each["name"] == "TaskDuration")

    start = busy()
    page.reload()
    loaded = busy() - start
    assert not page.locator("#segment-7").is_visible()
    page.locator("table.segments a").nth(6).click()
    assert page.locator("#segment-7").is_visible()
    page.evaluate(OPEN_ALL)
    start = busy()
    page.locator("table.candidates").get_by_role("button", name="Ratio").click()
    sorted_in = busy() - start
    assert loaded < 2.0
    assert sorted_in < 0.5
    assert page.evaluate(TOO_WIDE) == 0
    assert len(texts(page, "table.segments tbody tr")) == 30


def colours(page: Page) -> list[str]:
    """The page's background and the first curve of its first figure."""
    found: list[str] = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(document.querySelector('figure path.line')).stroke]"
    )
    return found


def test_the_theme_is_a_choice_that_is_kept(opened: Opener) -> None:
    """A button goes from the system's theme to light and dark, figures follow, and the choice outlives the page."""
    page = opened("laundry", color_scheme="dark")
    button = page.get_by_role("button", name="Theme")
    dark = colours(page)
    assert button.inner_text() == "Theme: as the system"
    button.click()
    light = colours(page)
    assert button.inner_text() == "Theme: light"
    assert all(one != other for one, other in zip(dark, light, strict=True))
    page.reload()
    assert colours(page) == light
    page.emulate_media(color_scheme="light")
    button.click()
    assert (button.inner_text(), colours(page)) == ("Theme: dark", dark)
    button.click()
    assert colours(page) == light
    page.emulate_media(color_scheme="dark")
    assert colours(page) == dark


def test_without_script_the_page_is_whole(opened: Opener) -> None:
    """The system's theme holds, every row is there, the contents are at hand, and nothing is offered that would do nothing."""
    page = opened("searched", java_script_enabled=False, color_scheme="dark")
    assert page.locator("table.candidates tbody tr").count() == 501
    assert page.locator(".menu a", has_text="The answer").is_visible()
    assert page.locator("button:visible").count() == 0
    assert page.locator(".tools").count() == 0
    page.locator("#search summary").first.click()
    assert page.locator("table.candidates tbody tr").last.is_visible()


def test_hostile_names_stay_text(opened: Opener, tmp_path: Path, hostile: RunResult) -> None:
    """No name becomes an element, a link, a script or an attribute, wherever it stands, also after sorting and saving."""
    page = opened("hostile")
    page.evaluate(OPEN_ALL)
    for button in page.locator("button.sort").all()[:4]:
        button.click()
    assert page.evaluate("document.querySelectorAll('script, style').length") == 2
    assert page.evaluate("document.querySelectorAll('img, iframe, object, [onerror], [onmouseover]').length") == 0
    targets = page.eval_on_selector_all("a", "all => all.map(each => each.getAttribute('href'))")
    assert all(target.startswith("#") for target in targets)
    with page.expect_download() as saving:
        page.locator("#tree .save button").click()
    assert saving.value.suggested_filename == figure_data.file_name(hostile, "tree")
    saving.value.save_as(tmp_path / "tree.csv")
    saved = (tmp_path / "tree.csv").read_text(encoding="utf-8")
    assert "\"'=cmd|'/c calc'!A1\"" in saved
    assert "</template></script><script>alert(1)</script>-->" in saved


def test_the_numbers_of_a_figure_are_saved(opened: Opener, tmp_path: Path, laundry: RunResult) -> None:
    """The saved file holds what the figure shows, byte by byte."""
    page = opened("laundry")
    with page.expect_download() as saving:
        page.locator("#split-1").get_by_role("button", name="Data (CSV)").click()
    assert saving.value.suggested_filename == "laundry-split-1.csv"
    saving.value.save_as(tmp_path / "curves.csv")
    size = next(trial for trial in laundry.trials if trial.split == "package size")
    assert (tmp_path / "curves.csv").read_bytes() == figure_data.curves(size.groups).encode()


def test_text_in_figures_can_be_found(opened: Opener) -> None:
    """The labels of a figure are text that the browser finds."""
    page = opened("laundry")
    assert page.evaluate("window.find('days since the last purchase')")
    assert page.evaluate("getSelection().anchorNode.parentElement.namespaceURI").endswith("/svg")


def test_the_keyboard_reaches_everything_and_shows_where_it_is(opened: Opener) -> None:
    """First comes the link past the contents; every stop is seen and outlined; details open by key."""
    page = opened("laundry")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"
    seen = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        stop = page.evaluate(
            """() => {
              const at = document.activeElement, box = at.getBoundingClientRect(), style = getComputedStyle(at);
              return [at.tagName, at.closest('nav') ? 'nav' : 'main', box.width * box.height > 0, style.outlineStyle,
                      box.bottom > 0 && box.top < innerHeight];
            }"""
        )
        assert stop[1:] == ["main", True, "solid", True], stop
        seen.add(stop[0])
    assert seen >= {"A", "BUTTON", "SUMMARY"}
    summary = page.locator("#split-1 summary").first
    summary.focus()
    page.keyboard.press("Space")
    assert page.locator("#split-1 details").first.get_attribute("open") is not None


def test_print_holds_everything_and_nothing_to_press(opened: Opener) -> None:
    """On paper all details are open, rows are not cut, contents and buttons are gone, and dark is light."""
    page = opened("discovered", color_scheme="dark", width=718)
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("button", name="Theme").click()
    closed = page.locator("main details:not([open])").count()
    assert closed
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("main details:not([open])").count() == 0
    assert page.locator("button:not(.sort):visible, nav:visible, .tools:visible").count() == 0
    assert page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--page')") == "#fbfaf8"
    assert page.evaluate(TOO_WIDE) == 0
    cut = "all => all.filter(each => each.scrollWidth > each.parentElement.clientWidth + 1).map(each => each.className)"
    assert page.eval_on_selector_all("table", cut) == []
    assert len(texts(page, "#ledger h3:has-text('screened') ~ .scroll >> nth=0 >> tbody tr")) == 200
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("main details:not([open])").count() == closed
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF-")
    assert printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") > 5


@pytest.mark.parametrize("shop", ["grown", "untestable", "hostile", "searched in Chinese"])
def test_axe_finds_nothing(shop: str, opened: Opener) -> None:
    """The rules of WCAG 2.2 AA and of good practice hold in both themes, on a phone and on a desk, with all details open.

    Contrast, which takes most of the time and does not depend on the width, is looked at once in each theme.
    """
    page = opened(shop)
    page.evaluate(OPEN_ALL)
    page.evaluate(axe.AXE_SCRIPT)
    for width, theme, contrast in (
        (1440, "light", True),
        (390, "dark", True),
        (1440, "dark", False),
        (390, "light", False),
    ):
        options = {
            "runOnly": RULES,
            "resultTypes": ["violations"],
            "elementRef": False,
            "rules": {"color-contrast": {"enabled": contrast}},
        }
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme)
        found = page.evaluate("options => axe.run(document, options)", options)["violations"]
        broken = [(rule["id"], node["target"], node["failureSummary"]) for rule in found for node in rule["nodes"][:3]]
        assert broken == [], (width, theme)
