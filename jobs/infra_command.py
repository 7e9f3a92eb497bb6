"""The commands `isopach infra render` and `isopach infra check`."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from isopach.jobs.arguments import Json, declaration_of, err, out, seconds_of
from isopach.jobs.failures import DONE, FAILED, explained

app = typer.Typer(
    no_args_is_help=True,
    help="Give Terraform what the feeds declare, and see that it still has it.",
)
EXAMPLES = (
    "isopach infra {0} sales --to infra/terraform/google/envs/prod\n\n"
    "isopach infra {0} sales feeds/mine.yaml --to infra/terraform/aws/envs/dev --grace 30m"
)

Feeds = Annotated[
    list[str], typer.Argument(metavar="FEED…", help="Feeds' names, or the paths of their YAML.")
]
Environment = Annotated[
    Path,
    typer.Option("--to", metavar="DIR", help="The environment's folder.", file_okay=False),
]
Grace = Annotated[str, typer.Option(help="How long after its deadline a night starts.")]


@app.command(epilog=EXAMPLES.format("render"))
def render(feeds: Feeds, to: Environment, grace: Grace = "15m", as_json: Json = False) -> None:
    """Write feeds, cadences, time zones and deadlines to feeds.auto.tfvars.json.

    A night starts when its deadline and the grace have passed, at a local time that every day has
    exactly once: clocks leave out an hour in spring, and repeat one in autumn.
    """
    from isopach.jobs.provisioning import FILE, written

    with explained(err):
        variables = _variables(feeds, grace)
        to.mkdir(parents=True, exist_ok=True)
        (to / FILE).write_text(written(variables), encoding="utf-8")
    if as_json:
        print(json.dumps(variables))
    else:
        nights = sum(len(feed["nights"]) for feed in variables["feeds"].values())
        out.print(f"{to / FILE}: {len(variables['feeds'])} feeds, {nights} nights", highlight=False)


@app.command(epilog=EXAMPLES.format("check"))
def check(feeds: Feeds, to: Environment, grace: Grace = "15m", as_json: Json = False) -> None:
    """Say which values of feeds.auto.tfvars.json are no longer what the feeds declare.

    The exit code is 1 where there is one; `isopach infra render` with the same arguments mends it.
    """
    from isopach.jobs.provisioning import FILE, drift

    with explained(err):
        found = drift(to / FILE, _variables(feeds, grace))
    if as_json:
        print(json.dumps({"file": str(to / FILE), "drift": found}))
    else:
        for line in found or [f"{to / FILE}: is what the feeds declare"]:
            out.print(line, markup=False, highlight=False)
    sys.exit(FAILED if found else DONE)


def _variables(feeds: list[str], grace: str) -> dict[str, Any]:
    from isopach.jobs.provisioning import feeds_variable

    after = seconds_of("--grace", grace)
    declared = [declaration_of(feed) for feed in feeds]
    return feeds_variable(declared, after, datetime.now(UTC).year)
