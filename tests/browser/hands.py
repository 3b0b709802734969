"""How somebody uses a page: by mouse, or by keyboard alone. Everything is found by its role and its name."""

from __future__ import annotations

from typing import Any, Protocol

from playwright.sync_api import Locator, Page, expect

MOST_TABS = 200
FOCUS_SHOWS = """element => {
    const looks = () => {
        const style = getComputedStyle(element);
        const ring = style.outlineStyle === "none" || style.outlineWidth === "0px" ? "" : style.outlineColor;
        return [ring, style.boxShadow, style.borderColor, style.backgroundColor].join(); // letters alone do not count
    };
    const focused = looks();
    element.blur();
    const blurred = looks();
    element.focus({preventScroll: true});
    return focused !== blurred;
}"""


class Hands(Protocol):
    page: Page

    def press(self, role: Any, name: str) -> None: ...

    def tick(self, name: str) -> None: ...

    def choose(self, label: str, option: str) -> None: ...

    def type(self, label: str, text: str) -> None: ...


class Mouse:
    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, role: Any, name: str) -> None:
        self.page.get_by_role(role, name=name, exact=True).first.click()

    def tick(self, name: str) -> None:
        self.page.get_by_role("checkbox", name=name).check()

    def choose(self, label: str, option: str) -> None:
        self.page.get_by_role("combobox", name=label).select_option(option)

    def type(self, label: str, text: str) -> None:
        self.page.get_by_role("textbox", name=label).fill(text)


class Keyboard:
    """Tab, Enter, Space and letters; whatever has the focus must show it."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, role: Any, name: str) -> None:
        self._reach(self.page.get_by_role(role, name=name, exact=True).first)
        self.page.keyboard.press("Enter")

    def tick(self, name: str) -> None:
        box = self.page.get_by_role("checkbox", name=name)
        self._reach(box)
        self.page.keyboard.press("Space")
        expect(box).to_be_checked()

    def choose(self, label: str, option: str) -> None:
        box = self.page.get_by_role("combobox", name=label)
        self._reach(box)
        self.page.keyboard.type(option.rstrip("…"))  # a list goes to what begins like that
        expect(box.locator("option:checked")).to_have_text(option)

    def type(self, label: str, text: str) -> None:
        box = self.page.get_by_role("textbox", name=label)
        self._reach(box)
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(text)
        expect(box).to_have_value(text)

    def _reach(self, wanted: Locator) -> None:
        element = wanted.element_handle()
        for _tab in range(MOST_TABS):
            if element.evaluate("element => element === document.activeElement"):
                break
            self.page.keyboard.press("Tab")
        else:
            raise AssertionError(f"{MOST_TABS} times Tab, and never at {wanted}")
        assert element.evaluate(FOCUS_SHOWS), f"nothing shows that the focus is on {wanted}"
