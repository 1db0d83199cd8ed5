"""The staff's dashboard: charts, and the figures behind them."""
