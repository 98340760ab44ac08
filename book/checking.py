"""What every page of the book must be: whole, small, silent towards the network, and readable.

python book/checking.py [out/book]
"""

import re
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

MOST_BYTES = 12_000_000  # of a page, with the sounds of its players
FETCHED = {("link", "href"), ("script", "src"), ("img", "src"), ("audio", "src"), ("iframe", "src")}
IDLE_LINKS = {"canonical", "alternate", "next", "prev", "index", "search", "author"}


@dataclass
class Page(HTMLParser):
    """What is in a page.

    Attributes:
        ids: the places that a link can go to.
        links: (tag, address) of all that it shows, loads or links to.
        headings: their levels in the article, in order.
        faults: what is wrong with it, a sentence each.
    """

    text: str
    ids: set[str] = field(default_factory=set)
    links: list[tuple[str, str]] = field(default_factory=list)
    headings: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    in_article: bool = False

    def __post_init__(self) -> None:
        """Read the text."""
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element is and where it points to."""
        known = dict(attrs)
        self.ids |= {known.get("id") or ""}
        self.in_article |= tag == "article"
        if self.in_article and re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "img" and not (known.get("alt") or "").strip():
            self.faults.append(f"a picture has no description: {(known.get('src') or '')[:60]}")
        idle = tag == "link" and known.get("rel") in IDLE_LINKS
        for name in ("href", "src"):
            address = known.get(name) or ""
            if address and not address.startswith("data:"):
                self.links.append((tag, address))
                if (tag, name) in FETCHED and not idle and urlsplit(address).netloc:
                    self.faults.append(f"asks the network for {address}")

    def handle_endtag(self, tag: str) -> None:
        """Note where the article ends: around it the theme repeats the title for print."""
        self.in_article &= tag != "article"


def check_book(folder: Path) -> None:
    """Compare every page of a book with what it must be.

    Raises:
        ValueError: some page is not; a line for each fault.
    """
    faults = faults_of(folder)
    if faults:
        raise ValueError("\n".join(["the book has faults:", *faults]))


def faults_of(folder: Path) -> list[str]:
    """Return what is wrong with the pages of a book, a line each."""
    paths = [path for path in sorted(folder.rglob("*.html")) if "_static" not in path.parts]
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in paths}
    found = [] if pages else ["there are no pages"]
    for path, page in pages.items():
        faults = [*page.faults, *_faults_of_text(page), *_broken_links(path, page, pages)]
        found += [f"{path.relative_to(folder).as_posix()}: {fault}" for fault in faults]
    return found


def _faults_of_text(page: Page) -> list[str]:
    faults = []
    size = len(page.text.encode())
    if size > MOST_BYTES:
        faults.append(f"{size / 1e6:.1f} MB, expected at most {MOST_BYTES / 1e6:.0f}")
    if page.headings and (page.headings.count(1) != 1 or page.headings[0] != 1):
        faults.append(f"headings {page.headings}, expected one of level 1, at the start")
    steps = zip(page.headings, page.headings[1:], strict=False)
    if any(below > above + 1 for above, below in steps):
        faults.append(f"headings {page.headings} skip a level")
    left = re.search(r"\[@\w+", page.text)
    return [*faults, f"the citation {left.group()}] is no link"] if left else faults


def _broken_links(path: Path, page: Page, pages: dict[Path, Page]) -> list[str]:
    """Return the addresses within the book that lead nowhere."""
    broken = []
    for tag, address in page.links:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        goal = unquote(parts.fragment)
        if not target.is_file() or (goal and target in pages and goal not in pages[target].ids):
            broken.append(f"<{tag}> leads nowhere: {address}")
    return broken


if __name__ == "__main__":
    check_book(Path(*(sys.argv[1:2] or ["out/book"])).resolve())
