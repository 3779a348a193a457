"""The handout's drawings, formulas and tables: what a student needs on paper to follow and to fill in."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from dainet.compare.forest import forest_plot
from dainet.lessons.evidence import read_claims
from dainet.protocol import CLASSES, published_table
from dainet.reporting.architecture import architecture_figure
from dainet.segmentation.catalog import build
from teaching.formulas import formula_image
from teaching.pages import figure_html, render

__all__ = ["EQUATIONS", "empty_forest_plot", "handout_page"]

# What each equation of the paper says, and the equation (sections 3.2 and 3.3).
EQUATIONS = {
    "Output of student or teacher under a temperature": r"P(x)^{(j)} = \frac{\exp(\phi(x)^{(j)}/\tau)}"
    r"{\sum_{k=1}^{K} \exp(\phi(x)^{(k)}/\tau)}",
    "The student predicts what the teacher says of the other view": r"\mathcal{L}_{st} = "
    r"\frac{-P_t(x_1)\,\log P_s(x_2)}{2} + \frac{-P_t(x_2)\,\log P_s(x_1)}{2}",
    "The teacher is a slow average of students": r"\phi_t \leftarrow \lambda\,\phi_t + (1-\lambda)\,\phi_s",
    "Cross-entropy: every pixel by itself": r"\ell_{CE}(\hat{y}, y) = -\frac{1}{N} \sum_{n=0}^{N} y_n \log(\hat{y}_n)",
    "Dice: every class as a whole": r"\ell_{DICE}(\hat{y}, y) = 1 - "
    r"\frac{2y\hat{y} + \epsilon}{y + \hat{y} + \epsilon}",
    "The loss of the segmentation": r"\mathcal{L}_{seg} = \frac{1}{2}\,\ell_{CE} + \frac{1}{2}\,\ell_{DICE}",
}


def handout_page() -> str:
    """Return the handout, a page of HTML that prints on two pages of A4."""
    network = build("dual-1111", classes=len(CLASSES["acdc"].names) + 1)
    return render(
        "handout.html",
        architecture=figure_html(architecture_figure(network)),
        equations={text: Markup(formula_image(latex, display=True)) for text, latex in EQUATIONS.items()},
        tables={name: _paper_table(name) for name in ("table2", "table3")},
        forest=figure_html(empty_forest_plot()),
    )


def empty_forest_plot() -> Figure:
    """Draw the registered claims and controls with the paper's differences, and room for the intervals to be drawn."""
    claims = read_claims()
    return forest_plot({"What the paper claims": claims["paper"], "Controls": claims["controls"]})


def _paper_table(name: str) -> Markup:
    """Return a table of the paper as printed, with the marks of its rows."""
    table = published_table("acdc", name)
    shown = pd.DataFrame({"Method": table["method"] + table["marker"].fillna("")})
    for column in (*CLASSES["acdc"].names, "DSC"):
        shown[column] = table[column.lower()].map("{:.2f}".format)
    return Markup(shown.to_html(index=False, border=0))
