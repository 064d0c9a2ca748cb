"""A page's HTML as a tree, without anything that a browser would add."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree.ElementTree import Element, SubElement

VOID = {"br", "input", "img", "meta", "link", "hr"}


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("page")]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        element = SubElement(self.open[-1], tag, {name: value or "" for name, value in attributes})
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        SubElement(self.open[-1], tag, {name: value or "" for name, value in attributes})

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            closed = self.open.pop()
            assert closed.tag == tag, f"<{closed.tag}> is closed by </{tag}>"

    def handle_data(self, data: str) -> None:
        element = self.open[-1]
        if len(element):
            element[-1].tail = (element[-1].tail or "") + data
        else:
            element.text = (element.text or "") + data


def parse(html: str) -> Element:
    builder = _Builder()
    builder.feed(html)
    assert len(builder.open) == 1, f"<{builder.open[-1].tag}> is not closed"
    return builder.open[0]


def words(element: Element | None) -> str:
    """All text in the element, white space made one space."""
    return "" if element is None else " ".join("".join(element.itertext()).split())


def of_class(element: Element, name: str) -> list[Element]:
    """Every element inside that has the class, in order."""
    return [found for found in element.iter() if name in found.get("class", "").split()]


def first(element: Element, name: str) -> Element:
    return of_class(element, name)[0]


def figures(element: Element) -> dict[str, str]:
    """Label → value of the key figures."""
    return {words(figure.find("dt")): words(first(figure, "value")) for figure in of_class(element, "figure")}


def notes(element: Element) -> dict[str, str]:
    """Label → note of the key figures."""
    return {words(figure.find("dt")): words(first(figure, "note")) for figure in of_class(element, "figure")}


def table(element: Element, caption: str) -> list[list[str]]:
    """The rows' cells."""
    (found,) = [each for each in element.iter("table") if words(each.find("caption")) == caption]
    return [[words(cell) for cell in row.findall("td")] for row in found.iter("tr") if row.findall("td")]


def ranking(element: Element, label: str) -> list[tuple[str, str, str]]:
    """Name, amount and move of each rank."""
    (found,) = [each for each in element.iter("ol") if each.get("aria-label") == label]
    rows = []
    for item in found.iter("li"):
        amount, move = first(item, "amount"), words(first(item, "move"))
        rows.append((words(first(item, "name")), words(amount).removesuffix(move).strip(), move))
    return rows


def titles(element: Element) -> list[str]:
    """What the marks of SVG charts say when pointed at."""
    return [words(each) for each in element.iter("title")]
