"""The plot of the workers' benchmark: bars, for light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.tables import SENSORS
from benchmarks.workers import BOTH, HTTP, Ended

WIDTH, ROW, LABELS, VALUES, TOP = 860, 26, 290, 60, 34
STYLE = (
    ".bg{fill:#fff;stroke:#d5dae1}text{fill:#1c2733}.small{font-size:13px;fill:#4a5867}"
    ".ours{fill:#0072b2}.plain{fill:#8fb8d4}.other{fill:#d55e00}"
    "@media (prefers-color-scheme:dark){.bg{fill:#161b22;stroke:#30363d}text{fill:#e6edf3}"
    ".small{fill:#aab6c3}.ours{fill:#58a6e0}.plain{fill:#3f6f93}.other{fill:#e8894a}}"
)


def draw(found: Sequence[Ended], target: Path) -> None:
    panels = (
        ("Worker processes", [float(result.processes) for result in found], "{:.0f}"),
        ("CPU, seconds", [result.cpu for result in found], "{:.0f}"),
        ("Until the last task ended, seconds", [result.seconds for result in found], "{:.1f}"),
    )
    height = len(panels) * (TOP + ROW * len(found)) + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-labelledby="t" font-family="system-ui, -apple-system, \'Segoe UI\', Roboto, sans-serif" '
        'font-size="15">',
        f'<title id="t">The cost of {found[0].tasks} waiting sensors</title>',
        f"<style>{STYLE}</style>",
        f'<rect class="bg" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="10"/>',
    ]
    y = 0
    for title, values, form in panels:
        y += TOP
        parts.append(f'<text x="16" y="{y - 8}">{title}</text>')
        longest = max(values) or 1.0
        for result, value in zip(found, values, strict=True):
            colour = {BOTH: "ours", HTTP: "other"}.get(result.way, "plain")
            width = (WIDTH - LABELS - VALUES) * value / longest
            label = SENSORS[result.way].replace("`", "")
            parts += [
                f'<text class="small" x="16" y="{y + 16}">{label}</text>',
                f'<rect class="{colour}" x="{LABELS}" y="{y + 3}" width="{width:.1f}" height="{ROW - 8}"/>',
                f'<text class="small" x="{LABELS + width + 6:.1f}" y="{y + 16}">{form.format(value)}</text>',
            ]
            y += ROW
    target.write_text("\n".join([*parts, "</svg>"]) + "\n")
