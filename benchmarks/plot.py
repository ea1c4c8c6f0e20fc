"""The plot: the cost of a round by number of campaigns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

from benchmarks.waiting import ALL, Waited
from benchmarks.ways import WAYS

mpl.use("svg")
# Make the file reproducible.
mpl.rcParams.update({"svg.hashsalt": "waiting at scale", "svg.fonttype": "none", "font.size": 10})

import matplotlib.pyplot as plt  # noqa: E402

STYLES = {
    "bm": ("#0072b2", "o", "-"),
    "bm-single": ("#56b4e9", "s", "--"),
    "http": ("#d55e00", "^", "-."),
    "job": ("#009e73", "D", ":"),
}


def draw(found: Sequence[Waited], target: Path) -> None:
    figure, (requests, cpu) = plt.subplots(1, 2, figsize=(9.5, 4.2), layout="constrained")
    for way in ALL:
        colour, marker, line = STYLES[way]
        ones = [each for each in found if each.way == way]
        counts = [each.count for each in ones]
        style = {"color": colour, "marker": marker, "linestyle": line, "label": WAYS[way].label}
        requests.plot(counts, [each.requests for each in ones], **style)
        cpu.plot(counts, [each.cpu for each in ones], **style)
    for axes, title in ((requests, "Requests a round"), (cpu, "CPU seconds a round")):
        axes.set(xscale="log", yscale="log", xlabel="waiting campaigns", title=title)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.grid(which="major", color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = requests.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    target.parent.mkdir(exist_ok=True)
    figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None}, facecolor="white")
    plt.close(figure)
    # Remove trailing white space of Matplotlib.
    target.write_text("\n".join(line.rstrip() for line in target.read_text().splitlines()) + "\n")
