"""The months of a holdings demo as one SVG: what the account is made of, stacked. It prints."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from runtime.cli_output import money
from runtime.holdings_demo_report import Month

WIDE, HIGH, LEFT, RIGHT, TOP, FOOT = 960, 420, 90, 40, 60, 40
PARTS = ("holdings", "tax", "payroll", "float")
NAMES = ("Holdings", "Tax reserve", "Payroll reserve", "Float")
STYLE = """
svg { background: #ffffff; font: 13px system-ui, sans-serif; }
text { fill: #1c2733; } .grid { stroke: #d5dbe1; } .title { font-size: 16px; font-weight: 600; }
.holdings { fill: #15577e; } .tax { fill: #b7791f; } .payroll { fill: #7c5cad; }
.float { fill: #8fb7cf; }
@media (prefers-color-scheme: dark) {
  svg { background: #11181f; } text { fill: #e6ebef; } .grid { stroke: #2d3a45; }
  .holdings { fill: #4b97c4; } .tax { fill: #e0ac4f; } .payroll { fill: #a78bd6; }
  .float { fill: #29485c; }
}
"""


def picture(months: Sequence[Month], title: str) -> bytes:
    """At least two months. The scale begins at 0; whole pixels, so the same figures give the same
    bytes."""
    most = max(m.account for m in months)
    step = Decimal(10) ** (most.adjusted()) / 2
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" role="img">',
        f"<title>{title}</title><style>{STYLE}</style>",
        f'<text class="title" x="{LEFT}" y="26">{title}</text>',
    ]
    at = LEFT
    for name, words in zip(PARTS, NAMES, strict=True):
        lines.append(f'<rect class="{name}" x="{at}" y="38" width="12" height="12"/>')
        lines.append(f'<text x="{at + 18}" y="49">{words}</text>')
        at += 40 + 8 * len(words)
    mark = Decimal(0)
    while mark <= most:
        y = _y(mark, most)
        lines.append(f'<line class="grid" x1="{LEFT}" x2="{WIDE - RIGHT}" y1="{y}" y2="{y}"/>')
        lines.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{money(mark)}</text>')
        mark = (mark + step).quantize(Decimal(1))
    lines += _areas(months, most)
    every = max(1, len(months) // 8)
    for i in range(0, len(months), every):
        lines.append(
            f'<text x="{_x(i, months)}" y="{HIGH - 14}" text-anchor="middle">'
            f"{months[i].day:%Y-%m}</text>"
        )
    return "\n".join([*lines, "</svg>", ""]).encode()


def _areas(months: Sequence[Month], most: Decimal) -> list[str]:
    below = [Decimal(0)] * len(months)
    found = []
    for name in PARTS:
        above = [b + getattr(m, name) for b, m in zip(below, months, strict=True)]
        there = [f"{_x(i, months)},{_y(v, most)}" for i, v in enumerate(above)]
        back = [f"{_x(i, months)},{_y(v, most)}" for i, v in enumerate(below)][::-1]
        found.append(f'<polygon class="{name}" points="{" ".join(there + back)}"/>')
        below = above
    return found


def _x(place: int, months: Sequence[Month]) -> int:
    return LEFT + (WIDE - RIGHT - LEFT) * place // max(1, len(months) - 1)


def _y(value: Decimal, most: Decimal) -> int:
    return HIGH - FOOT - int(value * (HIGH - FOOT - TOP) / most)
