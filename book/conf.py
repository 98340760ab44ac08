"""Sphinx settings of the book; what differs between the languages comes from bind.py."""

import re
from typing import Any, ClassVar

from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

project, author = "hdsep_tutorial", "The hdsep_tutorial authors"
project_copyright = f"{author}; text and pictures CC BY 4.0, code MIT"
extensions = ["myst_nb"]
exclude_patterns = ["jupyter_execute"]
nitpicky = True
keep_warnings = False
suppress_warnings = ["config.cache"]  # of page lists that bind.py hands over

# Outputs come from bind.py, which runs each lesson once for both languages.
nb_execution_mode = "off"
nb_merge_streams = True
nb_ipywidgets_js: dict[str, dict] = {}  # would be asked from the network
nb_mime_priority_overrides = [("html", "text/html", 1)]
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3

html_theme = "sphinx_book_theme"
html_theme_options = {
    "article_header_end": ["language.html", "article-header-buttons.html"],
    "home_page_in_toc": True,
    "logo": {"text": "hdsep_tutorial"},
    "navbar_persistent": [],  # the search stands in the sidebar
    "show_toc_level": 2,
    "use_download_button": False,
}
html_sidebars = {"**": ["navbar-logo.html", "search-field.html", "sbt-sidebar-nav.html"]}
html_static_path, templates_path = ["_static"], ["_templates"]
html_css_files = ["book.css"]
html_copy_source = html_show_sourcelink = False
html_show_sphinx = False
html_use_index = False
html_show_search_summary = False  # it reads pages with fetch(), which a browser forbids on a disk
html_search_language = "pairs"
html_context = {"default_mode": "auto"}  # light or dark as the system is

mathjax_path = "mathjax/tex-svg.js"
# These would load what the book does not carry; hidden MathML serves screen readers instead.
_LEFT_OUT = dict.fromkeys(["enrich", "speech", "braille", "collapsible"], False)
mathjax4_config = {
    "loader": {"paths": {"fonts": "[mathjax]/fonts"}},  # of rare letters; else from the network
    "options": {
        "enableMenu": False,
        "enableSpeech": False,
        "enableBraille": False,
        "enableEnrichment": False,
        "enableComplexity": False,
        "enableExplorer": False,
        "menuOptions": {"settings": {**_LEFT_OUT, "assistiveMml": True}},
    },
}

HAN = "\u3400-\u9fff"


class Pairs(SearchEnglish):
    """English words, and Chinese by the character and the pair: no list of words is needed."""

    lang = "pairs"
    _pieces: ClassVar = re.compile(rf"[{HAN}]+|[^\W{HAN}]+")
    # A query is cut into pairs only, which must all be on a page.
    js_splitter_code = rf"""
var splitQuery = (query) => {{
  const pieces = query.match(/[{HAN}]+|[^\s{HAN}]+/gu) || [];
  const pairs = (piece) => [...piece].slice(0, -1).map((_, i) => piece.slice(i, i + 2));
  const cut = (piece) => (/^[{HAN}]{{2,}}$/u.test(piece) ? pairs(piece) : [piece]);
  const words = (piece) => piece.split(/[^\p{{Letter}}\p{{Number}}_]+/gu).filter(Boolean);
  return pieces.flatMap(words).flatMap(cut);
}};
"""

    def split(self, input: str) -> list[str]:
        """Cut a text into words of the index.

        >>> Pairs({}).split("STFT 的音轨")
        ['STFT', '的', '音', '轨', '的音', '音轨']
        """
        found = []
        for piece in self._pieces.findall(input):
            if re.match(f"[{HAN}]", piece):
                found += [*piece, *(piece[i : i + 2] for i in range(len(piece) - 1))]
            else:
                found.append(piece)
        return found


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the search of both languages."""
    app.add_search_language(Pairs)
    return {"parallel_read_safe": True}
