"""Medians, ratios and tables."""
import statistics


class Spread:
    """Median, smallest and largest of a list."""

    def __init__(self, values):
        self.median = statistics.median(values)
        self.low = min(values)
        self.high = max(values)

    def text(self, digits=2):
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}..{self.high:.{digits}f})"

    def data(self):
        return {"median": self.median, "min": self.low, "max": self.high}


class Ratio:
    """A figure that is compared with a target: the median of each round's own ratio, or what the caller
    has made of all rounds."""

    def __init__(self, title, values, target, at_least=False, judged=True, overall=None):
        self.title = title
        self.spread = Spread(values)
        if overall is not None:
            self.spread.median = overall
        self.target = target
        self.at_least = at_least
        self.judged = judged

    @property
    def met(self):
        return self.spread.median >= self.target if self.at_least else self.spread.median <= self.target

    def text(self):
        line = f"  {self.title}: {self.spread.text()}"
        if self.target is None:
            return line
        line += f"   target {'at least ' if self.at_least else ''}{self.target:.2f}  got {self.spread.median:.2f}"
        if self.judged:
            line += "  met" if self.met else "  MISSED"
        return line

    def data(self):
        data = {"title": self.title, **self.spread.data(), "target": self.target}
        if self.target is not None and self.judged:
            data["met"] = self.met
        return data


def table(rows):
    """Rows of texts as lines; the first row is the head. The first column is aligned left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)
