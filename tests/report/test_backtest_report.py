"""The page of a backtest: percent where the terminal has percent, gaps where nothing is known."""

import dataclasses

from scaler.report.backtest import html
from scaler.report.moments import Moment, lending_figures


def test_it_is_in_percent_throughout():
    moments = [
        Moment(at_s=at * 60.0, reason=reason, detail="", wanted=2, ran=2, held=2, load=load)
        for at, (reason, load) in enumerate([("Lent", 0.25), ("Lent", 0.5), ("Band", None)])
    ]
    figures = {"role": "training"} | lending_figures(moments, every_s=60.0, units=1)
    result = {"since": "a", "until": "b", "every_s": 60.0, "objects": {"ml/train": figures}}

    page = html(result, {"ml/train": [dataclasses.asdict(one) for one in moments]})

    assert "66.7 %" in page
    assert "share" not in page
    online = page.partition("Online load of the pool</title>")[2]
    assert ">40</text>" in online
    assert ">%</tspan>" in online
