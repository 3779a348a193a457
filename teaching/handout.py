"""The handout's drawings, formulas and tables: what a student needs on paper to follow and to fill in."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from dainet.protocol import CLASSES, published_table
from dainet.reporting.architecture import architecture_figure
from dainet.reporting.charts import new_figure
from dainet.segmentation.networks import build
from teaching.formulas import formula_image
from teaching.pages import figure_html, render

__all__ = ["COMPARISONS", "EQUATIONS", "empty_forest_plot", "handout_page", "paper_difference"]

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

# Rows of the forest plot: network, the network that it is compared with, and what the row asks.
COMPARISONS = (
    ("dual-1111", "unet", "better than the U-Net?"),
    ("dual-1111", "single", "are two encoders better than one?"),
    ("unet", "single", "do maps in one encoder do harm?"),
    ("dual-1111", "dual-0000", "do attention skips help?"),
    ("dual-1111", "unet-wide", "attention, or size?"),
    ("dual-1111", "dual-1111-random", "do learned maps beat random weights?"),
    ("dual-1111", "dual-1111-other-patient", "do maps need to be this patient's?"),
)


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


def paper_difference(first: str, second: str) -> float | None:
    """Return the difference of two networks' mean DSC in the paper's Tables 2 and 3, in points; None if not printed."""
    rows = pd.concat([published_table("acdc", name) for name in ("table2", "table3")])
    dsc = rows.dropna(subset="model").drop_duplicates("model").set_index("model")["dsc"]
    return round(dsc[first] - dsc[second], 2) if {first, second} <= set(dsc.index) else None


def empty_forest_plot() -> Figure:
    """Draw the rows of `COMPARISONS` with the paper's differences as diamonds, and room for intervals to be drawn."""
    alt = "An empty forest plot to fill in: a line for each comparison, a diamond where the paper prints a difference"
    figure = new_figure(7.6, 3.4, alt)
    panel = figure.subplots()
    for row, (first, second, _) in enumerate(COMPARISONS):
        panel.axhline(row, color="#cccccc", linewidth=0.8, linestyle=":")
        if (difference := paper_difference(first, second)) is not None:
            panel.plot(difference, row, marker="D", color="#d55e00", markersize=6)
    panel.axvline(0, color="black", linewidth=1)
    panel.axvspan(-0.3, 0.3, color="#dddddd", zorder=0)
    panel.set_yticks(range(len(COMPARISONS)), [f"{first} - {second}\n{asks}" for first, second, asks in COMPARISONS])
    panel.set(xlim=(-3, 9), ylim=(len(COMPARISONS) - 0.5, -0.5), xticks=range(-3, 10))
    panel.set_xlabel("difference in points of DSC; diamond: the paper; gray: within 0.3 points", fontsize=8)
    panel.tick_params(labelsize=8)
    panel.grid(axis="x", color="#eeeeee")
    return figure


def _paper_table(name: str) -> Markup:
    """Return a table of the paper as printed, with the marks of its rows."""
    table = published_table("acdc", name)
    shown = pd.DataFrame({"Method": table["method"] + table["marker"].fillna("")})
    for column in (*CLASSES["acdc"].names, "DSC"):
        shown[column] = table[column.lower()].map("{:.2f}".format)
    return Markup(shown.to_html(index=False, border=0))
