"""How Sphinx builds the site; see docs/build_site.py."""

from pytest_fractal.rules.registry import DOCUMENTATION

project = "pytest-fractal"
html_title = "pytest-fractal"
html_baseurl = DOCUMENTATION
extensions = ["myst_parser"]
myst_heading_anchors = 4
html_theme = "furo"
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_static_path = ["static"]
html_extra_path = ["report.schema.json"]  # at the address that is its $id
html_css_files = ["site.css"]
