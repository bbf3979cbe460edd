"""Curves and distributions, drawn with plotext."""

from __future__ import annotations

from typing import ClassVar

from textual_plotext import PlotextPlot

from apex_cli.presenters.screen.plots import Curve, Histogram, sampled


class CurvePlot(PlotextPlot):
    """A line over time or number; says so when there is nothing to draw."""

    COLOUR: ClassVar[str] = "blue"

    def show(self, curve: Curve) -> None:
        """Draw *curve*."""
        plt = self.plt
        plt.clear_data()
        plt.title(curve.title if len(curve.values) > 1 else f"{curve.title}: {curve.empty}")
        if len(curve.values) > 1:
            places = list(range(len(curve.values)))
            plt.plot(places, list(curve.values), marker="braille", color=self.COLOUR)
            ticks = sampled(places, 5)
            plt.xticks([float(place) for place in ticks], [curve.labels[place] for place in ticks])
        self.refresh()


class HistogramPlot(PlotextPlot):
    """Bars, one a bin."""

    def show(self, histogram: Histogram) -> None:
        """Draw *histogram*."""
        plt = self.plt
        plt.clear_data()
        plt.title(histogram.title if any(histogram.counts) else f"{histogram.title}: {histogram.empty}")
        if any(histogram.counts):
            plt.bar(list(histogram.labels), list(histogram.counts), color="blue", width=0.8)
            places = list(range(1, len(histogram.labels) + 1))
            ticks = sampled(places, 5)
            most = max(histogram.counts)
            heights = sorted({0, most // 2, most})
            plt.yticks([float(height) for height in heights], [str(height) for height in heights])
            plt.xticks([float(place) for place in ticks], [histogram.labels[place - 1] for place in ticks])
        self.refresh()
