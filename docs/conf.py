"""Sphinx configuration: `sphinx-build -W docs build/docs`. Neither the build nor the pages access the network."""

from __future__ import annotations

import os
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_ext"))
# Each notebook page runs in a fresh kernel, with one thread and inline figures.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")

from modeseek import __version__  # noqa: E402

project = "modeseek"
author = "The modeseek authors"
copyright = "The modeseek authors, Apache-2.0"
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "myst_nb",
    "mathml",
    "written_signatures",
    "defaults_table",
    "method_list",
]
exclude_patterns = ["jupyter_execute"]

html_theme = "furo"
html_title = "modeseek"
VIEWER = DOCS.parent / "src" / "modeseek" / "reports" / "templates"  # of meshes, that of the reports
SCRIPTS = ("mesh_viewer.js", "model_viewer.js")
html_static_path = ["_static", *(str(VIEWER / name) for name in (*SCRIPTS, "model.css"))]
html_css_files = ["model.css", "modeseek.css"]
html_js_files = [(name, {"defer": "defer"}) for name in SCRIPTS]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5c8a", "color-brand-content": "#0b5c8a"},
    "dark_css_variables": {"color-brand-primary": "#7cc4ee", "color-brand-content": "#7cc4ee"},
}

html_math_renderer = "mathml"
math_eqref_format = "({number})"
numfig = False

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_dmath_double_inline = True
nb_execution_mode = "force"
nb_execution_timeout = 400
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_number_source_lines = False

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autoclass_content = "class"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_attr_annotations = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
add_module_names = False
toc_object_entries = False
default_role = "code"
