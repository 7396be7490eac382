"""Plots of growth as SVG: lines over sizes of 1, 2, 4 and 8."""

import html
import math

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, LABELS = 420, 340, 60, 44, 40, 400
COLOURS = ["#1f5fa8", "#b5482a", "#3b7d3b", "#8a5ca8", "#a8862b", "#2a8a8a", "#c0508a", "#555555", "#7a9a2a", "#5a70d0",
           "#a05a5a", "#999999", "#202060", "#d09a40"]
APART = 15  # between two labels


def relative(lines):
    """Each line beside its first point."""
    return {what: {factor: value / line[min(line)] for factor, value in line.items()} for what, line in lines.items()}


def ticks(lowest, highest, logarithmic):
    if logarithmic:
        return [10 ** power for power in range(math.floor(math.log10(lowest)), math.floor(math.log10(highest)) + 2)]
    step = next(step for step in (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 1000) if highest / step <= 6)
    return [step * index for index in range(math.ceil(highest / step) + 1)]


def short(value):
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g} {letter}"
    return f"{value:g}"


def spread_out(wanted, lowest):
    """Places for labels near where they are wanted, none upon another, none below `lowest`."""
    places, free = {}, TOP
    for name, place in sorted(wanted.items(), key=lambda item: item[1]):
        places[name] = max(place, free)
        free = places[name] + APART
    for name in sorted(places, key=places.get, reverse=True):
        places[name] = min(places[name], lowest)
        lowest = places[name] - APART
    return places


def plot(title, lines, logarithmic=False):
    values = [value for line in lines.values() for value in line.values() if value > 0]
    factors = sorted({factor for line in lines.values() for factor in line})
    marks = ticks(min(values), max(values), logarithmic)
    floor, high, wide = HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP, WIDTH - LEFT

    def x(factor):
        return LEFT + 14 + (wide - 28) * math.log2(factor / factors[0]) / max(1, math.log2(factors[-1] / factors[0]))

    def y(value):
        if logarithmic:
            low, top = math.log10(marks[0]), math.log10(marks[-1])
            return floor - high * (math.log10(max(value, marks[0])) - low) / (top - low)
        return floor - high * value / marks[-1]

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + LABELS} {HEIGHT}" font-family="sans-serif" '
           'font-size="12"><rect width="100%" height="100%" fill="white"/>',
           f'<text x="{LEFT}" y="22" font-size="14">{html.escape(title)}</text>']
    for mark in marks:
        out.append(f'<path d="M{LEFT} {y(mark):.1f}H{WIDTH}" stroke="#dddddd"/>'
                   f'<text x="{LEFT - 6}" y="{y(mark) + 4:.1f}" text-anchor="end">{short(mark)}</text>')
    for factor in factors:
        out.append(f'<text x="{x(factor):.1f}" y="{floor + 18}" text-anchor="middle">{factor / factors[0]:g} ×</text>')
    places = spread_out({what: y(line[max(line)]) for what, line in lines.items()}, floor)
    for (what, line), colour in zip(lines.items(), COLOURS * 3):
        points = " ".join(f"{x(factor):.1f},{y(value):.1f}" for factor, value in sorted(line.items()))
        end = y(line[max(line)])
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
                   f'<path d="M{x(max(line)):.1f} {end:.1f}L{WIDTH + 8} {places[what]:.1f}" stroke="{colour}" stroke-width="0.5"/>'
                   f'<text x="{WIDTH + 12}" y="{places[what] + 4:.1f}" fill="{colour}">{html.escape(what)}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"
