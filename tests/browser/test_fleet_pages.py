"""The pages of an audit and a plan, used as a person does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request

from poolwright.fleet.audit import audit
from poolwright.fleet.html_pages import audit_page, plan_page
from poolwright.fleet.planning import plan
from tests.fleet.fleets import audited, cluster, exported, fleet_of, pool, targets_for

NASTY = "</script><img src=x onerror=document.title='owned'>"


class Visit:
    """A page with what it asked for and what it complained about."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", self._ask)
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(address)

    def _ask(self, request: Request) -> None:
        if not request.url.startswith("data:"):
            self.asked.append(request.url)

    def rows(self) -> list[list[str]]:
        return [
            [cell.inner_text() for cell in row.locator("td").all()]
            for row in self.page.locator("#pools tbody tr").all()
        ]

    def pools(self) -> list[str]:
        return [row[2] for row in self.rows()]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("page") / "audit.html"
    file.write_text(audit_page(audited(exported())))
    return file.as_uri()


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    visit = Visit(page, address)
    yield visit
    assert visit.asked == [address], "no other request"
    assert visit.complaints == []
    page.close()


def test_all_pools_are_shown(visit: Visit) -> None:
    assert len(visit.pools()) == 13
    assert visit.page.locator("#count").inner_text() == "13 of 13 node pools, 34 machines"


def test_filters_narrow_and_are_taken_back(visit: Visit) -> None:
    page = visit.page
    page.get_by_label("Generation", exact=True).select_option("V2")
    assert visit.pools() == ["acl", "agentpool", "system"]
    page.get_by_label("Search").fill("SHOP-prod")
    assert visit.pools() == ["system"]
    assert page.locator("#count").inner_text() == "1 of 13 node pools, 3 machines"
    page.get_by_label("Generation", exact=True).select_option("")
    page.get_by_label("Search").fill("windows shop-prod")
    assert visit.pools() == ["win19", "win22"]
    page.get_by_role("button", name="Show all").click()
    page.wait_for_function("document.querySelectorAll('#pools tbody tr').length === 13")


def test_what_is_unknown_can_be_chosen(visit: Visit) -> None:
    visit.page.get_by_label("Mode", exact=True).select_option("unknown")
    assert visit.pools() == ["agentpool", "agentpool"]


def test_headings_sort_up_and_down(visit: Visit) -> None:
    heading = visit.page.get_by_role("columnheader", name="Machines")
    button = heading.get_by_role("button")
    button.click()
    counts = [int(row[6]) for row in visit.rows()]
    assert counts == sorted(counts)
    assert heading.get_attribute("aria-sort") == "ascending"
    button.press("Enter")
    assert [int(row[6]) for row in visit.rows()] == sorted(counts, reverse=True)
    assert heading.get_attribute("aria-sort") == "descending"


def test_everything_has_a_name_for_who_cannot_see_it(visit: Visit) -> None:
    page = visit.page
    tree = page.locator("body").aria_snapshot()
    for name in (
        *('heading "Fleet audit: which node pools are of Generation 1" [level=1]', 'searchbox "Search"', "status:"),
        *('combobox "Generation"', 'combobox "Location"', 'button "Show all"', 'columnheader "Node pool"'),
        *('img "Generations', 'img "What Generation 1 needs', 'img "Generation 1 by location', 'region "Node pools"'),
    ):
        assert name in tree, name
    image = page.get_by_role("img").first
    assert "Generation 1: 10, Generation 2: 3, unknown: 0" in str(image.evaluate("element => element.textContent"))
    unnamed = page.eval_on_selector_all(
        "input, select, button",
        "all => all.filter(e => !e.labels?.length && !(e.type === 'button' || e.type === 'reset')).length",
    )
    assert unnamed == 0


def test_the_keyboard_reaches_filters_and_headings(visit: Visit) -> None:
    page = visit.page
    seen = []
    for _ in range(14):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.textContent || document.activeElement.name"))
    assert seen[0] == "To the table"
    assert "text" in seen
    assert "Resource group" in seen


def test_paper_has_every_pool_and_no_controls(browser: Browser, tmp_path: Path) -> None:
    many = fleet_of(*(cluster(*(pool(f"p{number}") for number in range(90)), name=f"c{index}") for index in range(8)))
    file = tmp_path / "many.html"
    file.write_text(audit_page(audited(many)))
    page = browser.new_page()
    page.goto(file.as_uri())
    assert page.locator("#pools tbody tr").count() == 500
    assert page.get_by_role("button", name="Show more").is_visible()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("#pools tbody tr").count() == 720
    assert not page.locator("form.filters").is_visible()
    assert not page.get_by_role("button", name="Show more").is_visible()
    assert page.locator("#pools thead").evaluate("e => getComputedStyle(e).display") == "table-header-group"
    printed = page.pdf(prefer_css_page_size=True)
    # A4, lying: 297 by 210 mm in points.
    assert re.search(rb"/MediaBox \[0 0 84[12](\.\d+)? 59[45]", printed)
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#pools tbody tr").count() == 500
    page.close()


def test_nothing_of_a_fleet_runs(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "nasty.html"
    file.write_text(audit_page(audited(fleet_of(cluster(pool(vmSize=NASTY))))))
    page = browser.new_page()
    visit = Visit(page, file.as_uri())
    assert visit.rows()[0][5] == NASTY
    assert page.title() == "Fleet audit"
    assert (visit.asked, visit.complaints) == ([file.as_uri()], [])
    page.close()


def test_a_plan_is_a_page_too(browser: Browser, tmp_path: Path) -> None:
    fleet = exported()
    targets = targets_for(fleet)
    made = plan(fleet, audit(fleet, targets), targets)
    file = tmp_path / "plan.html"
    file.write_text(plan_page(made))
    page = browser.new_page()
    visit = Visit(page, file.as_uri())
    assert page.get_by_role("heading", level=3).count() == len(made.moves)
    assert page.locator("pre").count() > 5 * len(made.moves)
    assert (visit.asked, visit.complaints) == ([file.as_uri()], [])
    page.close()
