"""Options that several verbs have, without the modules of any of them."""

from __future__ import annotations

from typing import Annotated

import typer

ModelOption = Annotated[str, typer.Option("--model", help="Model folder, hub name, or 'bundled'.")]
