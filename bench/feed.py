"""The feed that peers are raced on: sales without suites, as no peer has gates."""

from __future__ import annotations

from pathlib import Path

import yaml

from isopach.feeds.load import SHIPPED


def bare_sales(folder: Path) -> str:
    """Write the declaration of sales without its suites into a folder; return the file's path."""
    folder.mkdir(parents=True, exist_ok=True)
    declared = yaml.safe_load((SHIPPED / "sales.yaml").read_text())
    del declared["suite"]
    (folder / "sites.csv").write_text((SHIPPED / "sites.csv").read_text())
    path = folder / "sales.yaml"
    path.write_text(yaml.safe_dump(declared, sort_keys=False))
    return str(path)
