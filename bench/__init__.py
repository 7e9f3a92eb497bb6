"""The same work done by the peers, side by side: `python -m bench nightly` and `stream`."""
