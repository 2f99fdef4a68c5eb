"""The documentation as a site: `make docs`.

The sources are the files as they lie in the repository, so each link works on a forge and here.
"""

from pathlib import Path

from docutils.nodes import document
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

from invitereg import __version__

project = "invitereg"
author = "the authors of invitereg"
project_copyright = author
version = release = __version__

extensions = ["myst_parser"]
include_patterns = ["*.md", "docs/*.md"]
root_doc = "README"
html_theme = "furo"
html_title = f"invitereg {release}"
html_show_sourcelink = html_copy_source = False
html_show_copyright = False

myst_heading_anchors = 4
nitpicky = True
linkcheck_timeout = 20
linkcheck_anchors = False  # they are made by scripts on many sites

CONTENTS = {
    "Set up": [
        "docs/operations",
        "docs/website-only",
        "docs/prosody",
        "docs/ejabberd",
        "docs/gateway",
        "docs/component",
    ],
    "Use": ["docs/policy", "docs/web", "docs/api", "docs/security", "docs/performance"],
    "Develop": ["CONTRIBUTING", "docs/architecture", "docs/protocol"],
    "More": ["CHANGELOG", "SECURITY"],
}
"""The pages of each part, in the order in which one reads them. A page in none is an error."""


def list_pages(_app: Sphinx, name: str, text: list[str]) -> None:
    """Give the first page the list of all others, which a forge shows by itself."""
    if name == root_doc:
        for part, pages in CONTENTS.items():
            text[0] += _toctree(part, pages)


def _toctree(caption: str, pages: list[str]) -> str:
    lines = [
        "",
        "```{toctree}",
        ":hidden:",
        f":caption: {caption}",
        *pages,
        "```",
        "",
    ]
    return "\n".join(lines)


def name_folders(_app: Sphinx, page: document) -> None:
    """Leave the text alone of a link to a folder, which a forge lists and a site cannot."""
    here = Path(page["source"]).parent
    for link in list(page.findall(pending_xref)):
        if not link["refdomain"] and (here / link["reftarget"]).is_dir():
            link.replace_self(link.children)


def begin_at_readme(app: Sphinx, error: Exception | None) -> None:
    """Lead from the site's address to its first page."""
    if error is None and app.builder.format == "html":
        refresh = f'<meta http-equiv="refresh" content="0; url={root_doc}.html">\n'
        Path(app.outdir, "index.html").write_text(refresh)


def setup(app: Sphinx) -> None:
    """Take what is above."""
    app.connect("source-read", list_pages)
    app.connect("doctree-read", name_folders)
    app.connect("build-finished", begin_at_readme)
