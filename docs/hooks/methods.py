"""Pages made from the code: one for each architecture, weighting, data set and module of statistics, and one of metrics.

The registries say what there is, so a new method has its page with no other edit. After the build every architecture and
every weighting must have a drawn equation.
"""

from __future__ import annotations

import inspect
import json
import pkgutil
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from benchmark import load_records, statistics
from benchmark.embeddings import embedding_parameters
from benchmark.kinds import KINDS
from benchmark.metrics import METRICS, Metric, View
from benchmark.rows import Features
from benchmark.runs.machine import multiply_adds
from benchmark.schema import Schema
from benchmark.settings import inventory
from benchmark.settings.listing import facts, own_defaults, parameters, summary
from benchmark.settings.registry import Registry, architectures, datasets, plain, weightings

REGISTRIES: dict[str, Registry] = {"architectures": architectures, "weightings": weightings, "datasets": datasets}
TITLES = {"architectures": "Architectures", "weightings": "Weightings", "datasets": "Data sets"}
RECORDS = Path(__file__).parents[2] / "results" / "records" / "census"
SIZED = "census_income"
"""The data set that sizes are given for; `RECORDS` has its schema, so no data is needed."""
SIZES = f"""\
Parameters outside the embedding tables, and multiply-adds per row, on [`{SIZED}`](../datasets/{SIZED}.md) with the defaults.
They are empty where an architecture does not suit that data set."""
COLUMNS = {"passes": "backward passes per step, of T tasks"}
OWN = ("architectures.", "benchmark.")  # what other installed packages register has its documentation there
DIRECTIONS = {1: "higher is better", -1: "lower is better", 0: "neither higher nor lower is better"}
VIEWS = {
    View.OBSERVED: "where the label is known",
    View.USERS: "where the label is known, of data sets with users",
    View.UNIT: "where the label is known, in the unit before the target's transform, as `{name}[seconds]`",
    View.GIVEN: "where the parent's label is 1, as `{name}[purchase|click]`",
    View.PAIR: "all, with the child's output against its parent's, as `{name}[purchase|click]`",
}


BY_KIND = """\
The headline metric is what methods are compared by. The criterion enters `trainer.monitor=mean`, as a share of the way from
chance to the best. Differences up to the margin count as equivalent."""
COMMON = r"""
Every metric is computed once on validation and once on test, on whole splits. $y_i$ is the label of row $i$, $z_i$ the output
of the model: a logit, with $p_i = \sigma(z_i)$, or a value $\hat{y}_i$ in the target's unit. A metric that is undefined on some
rows (AUC of one class) is empty, and the record says why."""


def names_of(registry: Registry) -> list[str]:
    """What this project itself registers."""
    return [name for name in registry.names() if registry.get(name).__module__.startswith(OWN)]


def modules() -> list[str]:
    """The public modules of the statistics."""
    return sorted(module.name for module in pkgutil.iter_modules(statistics.__path__) if module.name[0] != "_")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def method_page(registry: Registry, name: str) -> str:
    """One method: its parameters, then its docstring and its source."""
    cls = registry.get(name)
    rows = [(f"`{p.key}`", p.kind, f"`{p.default}`", p.meaning) for p in parameters(registry, name)]
    settings = table(("parameter", "type", "default", "meaning"), rows) if rows else "It has none."
    options = {
        "show_root_heading": "false", "show_root_toc_entry": "false", "show_bases": "false", "members": "false",
        "show_docstring_parameters": "false", "show_source": "true", "merge_init_into_class": "false",
        "show_signature": "false",
    }  # fmt: skip
    lines = "\n".join(f"      {key}: {value}" for key, value in options.items())
    shown = f"::: {cls.__module__}.{cls.__qualname__}\n    options:\n{lines}"
    use = f"```bash\nmtlbench list {registry.plural} {name}\n```"
    return f"# {name}\n\n{shown}\n\n## Parameters\n\n{settings}\n\nThe same in a terminal:\n\n{use}\n"


def registry_page(folder: str) -> str:
    """All methods of one registry, a line each."""
    registry = REGISTRIES[folder]
    names = names_of(registry)
    told = {name: facts(registry.get(name)) for name in names}
    if registry is architectures:
        told = {name: {**told[name], **sizes().get(name, {})} for name in names}
    if registry is datasets:
        told = {name: {**told[name], **inventory.facts(name)} for name in names}
    columns = list(dict.fromkeys(column for name in names for column in told[name]))
    rows = [
        (
            f"[`{name}`]({name}.md)",
            *(told[name].get(column, "") for column in columns),
            ", ".join(map("`{}`".format, own_defaults(registry, name))),
        )
        for name in names
    ]
    head = table(("name", *(COLUMNS.get(column, column) for column in columns), "parameters and defaults"), rows)
    shared = {p.key.partition(".")[2] for name in names for p in parameters(registry, name) if p.is_common}
    below = f"\n{SIZES}\n" if registry is architectures else ""
    if shared:
        below += f"\nSome also have {', '.join(f'`{key}`' for key in sorted(shared))}: see their pages.\n"
    wide = "---\nhide:\n  - toc\n---\n\n"
    return f"{wide}# {TITLES[folder]}\n\nThere are {len(names)}.\n\n{head}\n{below}"


@cache
def sizes() -> dict[str, dict[str, str]]:
    """{architecture: {column: number}} of all that suit Census-Income, at default size."""
    schema = schema_of_records()
    one_row = Features(
        schema.fields,
        np.zeros((1, len(schema.categorical)), np.int32),
        np.zeros((1, len(schema.numeric)), np.float32),
    )
    found = {}
    for name in names_of(architectures):
        if architectures.get(name).requires(schema) is None:  # type: ignore[attr-defined]
            model: Any = architectures.build(architectures.config(name), schema)
            parameters = sum(p.numel() for p in model.parameters()) - embedding_parameters(model)
            found[name] = {"parameters": f"{parameters:,}", "multiply-adds": f"{multiply_adds(model, one_row):,}"}
    return found


def schema_of_records() -> Schema:
    """The schema of Census-Income with its defaults, as its published records have it.

    Raises:
        PluginError: if none of them has the defaults.
    """
    wanted = json.loads(json.dumps(plain(datasets.config(SIZED))))  # lists for tuples
    for record in load_records(RECORDS):
        if record.config["dataset"] == wanted:
            return Schema.from_json(record.dataset["schema"])
    raise PluginError(f"{RECORDS}: expected a record of {SIZED} with its defaults, found none")


def metrics_page() -> str:
    """All metrics, from their table, and what the kinds of task make of them."""
    kinds = [
        (kind.name, kind.headline, f"`{kind.criterion}`", kind.margin.replace("%", " %"), summary(type(kind)))
        for kind in KINDS.values()
    ]
    return "\n\n".join([
        "# Metrics",
        COMMON,
        "## By kind of task",
        BY_KIND,
        table(("kind", "headline metric", "criterion", "margin", "label and output"), kinds),
        *(metric_section(metric) for metric in METRICS.values()),
    ]) + "\n"  # fmt: skip


def metric_section(metric: Metric) -> str:
    """One metric."""
    kinds = " and ".join(metric.kinds) if metric.kinds else "all kinds"
    views = "; ".join(VIEWS[view].format(name=metric.name) for view in metric.views)
    facts = [f"Tasks: {kinds}. {DIRECTIONS[metric.direction].capitalize()}. Rows: {views}."]
    if metric.best is not None:
        facts.append(
            f"A perfect model has {metric.best:g}"
            + ("." if metric.chance is None else f", a constant {metric.chance:g}.")
        )
    meaning = metric.meaning[0].upper() + metric.meaning[1:]
    text = inspect.getdoc(metric.function) or ""
    return f"## `{metric.name}`\n\n{meaning}.\n\n{text}\n\n{' '.join(facts)}"


def statistics_page(module: str) -> str:
    """One module of statistics."""
    options = "show_root_heading: false\n      show_root_toc_entry: false\n      show_source: false"
    return f"# {module}\n\n::: {statistics.__name__}.{module}\n    options:\n      {options}\n"


def statistics_index() -> str:
    """What the modules are, from the package's docstring."""
    text = inspect.getdoc(statistics) or ""
    for module in modules():
        text = text.replace(f"`{module}`", f"[`{module}`]({module}.md)")
    return f"# Statistics\n\n{text}\n"


def pages() -> Iterator[tuple[str, str]]:
    """(path, Markdown) of every page made here, in the order of the navigation."""
    for folder, registry in REGISTRIES.items():
        yield f"{folder}/index.md", registry_page(folder)
        for name in names_of(registry):
            yield f"{folder}/{name}.md", method_page(registry, name)
    yield "metrics/index.md", metrics_page()
    yield "statistics/index.md", statistics_index()
    for module in modules():
        yield f"statistics/{module}.md", statistics_page(module)


def on_config(config: Any) -> Any:
    """Puts the pages where the navigation says `folder/*`."""
    made = [path for path, _ in pages()]
    for entry in config["nav"]:
        for title, value in entry.items():
            if isinstance(value, str) and value.endswith("/*"):
                found = [path for path in made if path.startswith(value[:-1])]
                entry[title] = found if len(found) > 1 else found[0]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages."""
    for path, content in pages():
        files.append(File.generated(config, path, content=content))
    return files


def on_post_build(config: Any) -> None:
    """Looks for the equation of every method.

    Raises:
        PluginError: if a page has none.
    """
    for folder in ("architectures", "weightings"):
        for name in names_of(REGISTRIES[folder]):
            page = Path(config["site_dir"], folder, f"{name}.html")
            if 'class="equation"><math' not in page.read_text(encoding="utf-8"):
                raise PluginError(f"{folder}/{name}: its page has no equation; write one between $$ in the docstring")
