"""The plain table of all terminal views."""

from collections.abc import Container

from rich.table import Table


def table_of(*columns: str, gap: int = 2, right: Container[str] = ()) -> Table:
    """An empty table without lines; `gap`: characters between columns, `right`: columns whose numbers align right."""
    table = Table(box=None, padding=(0, gap, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left")
    return table
