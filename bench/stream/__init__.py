"""The same topic landed by the peers, against one broker: `python -m bench stream`."""
