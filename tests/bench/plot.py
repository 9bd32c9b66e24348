"""Plots as SVG, by hand: bars side by side, or lines over a logarithmic axis."""

import html
import math

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 44, 48
COLOURS = ["#4c566a", "#2b7a4b", "#c7692e", "#8a4fa3", "#b33a3a", "#2f6fab", "#8a7a1f"]


def round_number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def label_of(x):
    return f"{x:,}" if isinstance(x, (int, float)) else x


class Drawing:
    def __init__(self, title, unit):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            'font-family="sans-serif" font-size="12">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        ]
        self.text(LEFT, 18, title, size=14)
        self.text(LEFT, 34, unit, colour="#666")

    def text(self, x, y, words, anchor="start", size=12, colour="#222"):
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
            f'fill="{colour}">{html.escape(str(words))}</text>'
        )

    def line(self, x1, y1, x2, y2, colour="#ddd"):
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="{colour}"/>'
        )

    def add(self, part):
        self.parts.append(part)

    def legend(self, names):
        for index, name in enumerate(names):
            y = TOP + 10 + 18 * index
            colour = COLOURS[index % len(COLOURS)]
            x = WIDTH - RIGHT + 12
            self.add(f'<rect x="{x}" y="{y}" width="10" height="10" fill="{colour}"/>')
            self.text(x + 16, y + 9, name)

    def end(self):
        return "\n".join([*self.parts, "</svg>", ""])


def bottom_axis(drawing, place, values):
    for value in values:
        x = place(value)
        drawing.text(x, HEIGHT - BOTTOM + 18, label_of(value), "middle")


def left_axis(drawing, place, values):
    for value in values:
        y = place(value)
        drawing.line(LEFT, y, WIDTH - RIGHT, y)
        drawing.text(LEFT - 6, y + 4, round_number(value), "end")


def bars(title, unit, series):
    """series: {name: {x: y}}; one group of bars for each x."""
    groups = list(dict.fromkeys(x for points in series.values() for x in points))
    most = max(y for points in series.values() for y in points.values()) or 1
    step = 10 ** math.floor(math.log10(most))
    step /= 1 if most / step >= 4 else 2 if most / step >= 2 else 5
    top = math.ceil(most / step) * step
    drawing = Drawing(title, unit)

    def height(y):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y / top

    left_axis(drawing, height, [step * i for i in range(round(top / step) + 1)])
    group_width = (WIDTH - LEFT - RIGHT) / len(groups)
    width = 0.8 * group_width / len(series)
    for index, points in enumerate(series.values()):
        for place, group in enumerate(groups):
            if group not in points:
                continue
            x = LEFT + (place + 0.1) * group_width + index * width
            y = height(points[group])
            drawing.add(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{width * 0.9:.1f}" '
                f'height="{HEIGHT - BOTTOM - y:.1f}" '
                f'fill="{COLOURS[index % len(COLOURS)]}"/>'
            )
            drawing.text(
                x + width * 0.45, y - 3, round_number(points[group]), "middle", 9
            )
    bottom_axis(
        drawing, lambda group: LEFT + (groups.index(group) + 0.5) * group_width, groups
    )
    drawing.legend(series)
    return drawing.end()


def lines(title, unit, series):
    """series: {name: {x: y}}; both axes logarithmic, so what is 0 or below is left out."""
    points = [
        (x, y) for line in series.values() for x, y in line.items() if x > 0 and y > 0
    ]
    x_low, x_high = (math.log10(end(x for x, _ in points)) for end in (min, max))
    y_low = math.floor(math.log10(min(y for _, y in points)))
    y_high = max(math.ceil(math.log10(max(y for _, y in points))), y_low + 1)
    drawing = Drawing(title, unit)

    def across(x):
        share = (math.log10(x) - x_low) / ((x_high - x_low) or 1)
        return LEFT + 20 + (WIDTH - LEFT - RIGHT - 40) * share

    def height(y):
        share = (math.log10(y) - y_low) / (y_high - y_low)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    left_axis(drawing, height, [10.0**power for power in range(y_low, y_high + 1)])
    bottom_axis(drawing, across, sorted({x for x, _ in points}))
    for index, line in enumerate(series.values()):
        colour = COLOURS[index % len(COLOURS)]
        places = [(across(x), height(y)) for x, y in line.items() if x > 0 and y > 0]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        drawing.add(
            f'<polyline points="{path}" fill="none" stroke="{colour}" '
            'stroke-width="2"/>'
        )
        for x, y in places:
            drawing.add(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
    drawing.legend(series)
    return drawing.end()


KINDS = {"bars": bars, "lines": lines}
