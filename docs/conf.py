"""Sphinx configuration: `make docs`."""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
# Importing the operators imports Airflow, which creates files in its home.
os.environ["AIRFLOW_HOME"] = str(ROOT / "docs" / "_build" / "airflow")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

from airflow_provider_bm import __version__  # noqa: E402

project = "airflow-provider-bm"
author = "the authors of airflow-provider-bm"
project_copyright = f"{author}, Apache-2.0"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

# Markdown. Anchors of headings are those that code hosting sites make, so that links work in both.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "tasklist"]

# The reference: one page for each public class, made from docstrings.
autosummary_generate = True
autosummary_imported_members = True
autosummary_ignore_module_all = False
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
autodoc_default_options = {"exclude-members": "__new__"}
python_use_unqualified_type_names = True
python_display_short_literal_types = True
python_maximum_signature_line_length = 100

html_theme = "furo"
html_title = f"airflow-provider-bm {version}"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "sidebar_hide_name": False,
    "light_css_variables": {"color-brand-primary": "#1f5f99", "color-brand-content": "#1f5f99"},
    "dark_css_variables": {"color-brand-primary": "#7fb4e6", "color-brand-content": "#7fb4e6"},
}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
copybutton_exclude = ".linenos, .gp, .go"


def add_template_fields(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """List an operator's templated arguments at the end of its docstring."""
    fields = getattr(obj, "template_fields", None)
    if what == "class" and isinstance(fields, (tuple, list)) and fields:
        lines += ["", f"**Templated arguments:** {', '.join(f'``{each}``' for each in fields)}."]


def operator_signature(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str, None] | None:
    """Return an operator's own signature, which Airflow's metaclass hides. Types are in the list below it."""
    if what != "class" or not hasattr(obj, "template_fields"):
        return None
    _, *parameters = inspect.signature(obj.__init__).parameters.values()
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return str(inspect.Signature(bare)).replace("_ConfiguredMaxAge", "datetime.timedelta"), None


def setup(app: Any) -> None:
    """Register the above."""
    app.connect("autodoc-process-docstring", add_template_fields)
    app.connect("autodoc-process-signature", operator_signature)
