"""`page`, `limit`, `sortBy`, `sortOrder`: read from the query, turned into SQL and an answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from stockmind.database import Database, Row
from stockmind.errors import invalid_fields

DEFAULT_LIMIT = 50
MAX_LIMIT = 100
MAX_PAGE = 1_000_000


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a sorted list, counted from 1."""

    number: int
    limit: int
    column: str
    descending: bool

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.limit


def whole(text: str, high: int) -> int | None:
    """A number from 1 to `high` in plain digits, else None."""
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        return None
    return int(text) if 1 <= int(text) <= high else None


def read_page(query: Mapping[str, str], sortable: Mapping[str, str]) -> Page:
    """`sortable` maps public names to columns; the first is the default. Raises 400."""
    number = whole(query.get("page", "1"), MAX_PAGE)
    limit = whole(query.get("limit", str(DEFAULT_LIMIT)), MAX_LIMIT)
    sort_by = query.get("sortBy", next(iter(sortable)))
    order = query.get("sortOrder", "desc").lower()
    problems = {}
    if number is None:
        problems["page"] = f"must be a whole number from 1 to {MAX_PAGE}"
    if limit is None:
        problems["limit"] = f"must be a whole number from 1 to {MAX_LIMIT}"
    if sort_by not in sortable:
        problems["sortBy"] = f"must be one of {', '.join(sortable)}"
    if order not in ("asc", "desc"):
        problems["sortOrder"] = "must be asc or desc"
    if number is None or limit is None or problems:
        raise invalid_fields(problems)
    return Page(number, limit, sortable[sort_by], order == "desc")


@dataclass(frozen=True, slots=True)
class Listing:
    """A table as the API shows it: public name -> column, and which of them sort."""

    table: str
    columns: Mapping[str, str]
    sortable: Mapping[str, str] = field(default_factory=lambda: {"createdAt": "created_at"})

    def _where(self, filters: Mapping[str, object]) -> sql.Composable:
        parts = [sql.SQL("{} = %s").format(sql.Identifier(column)) for column in filters]
        return sql.SQL(" AND ").join(parts)

    def count(self, filters: Mapping[str, object]) -> sql.Composed:
        query = "SELECT count(*) AS total FROM {} WHERE {}"
        return sql.SQL(query).format(sql.Identifier(self.table), self._where(filters))

    def select(self, filters: Mapping[str, object], page: Page) -> sql.Composed:
        """The id breaks ties, so that no row shows up on two pages."""
        query = "SELECT {} FROM {} WHERE {} ORDER BY {} {order}, id {order} LIMIT %s OFFSET %s"
        return sql.SQL(query).format(
            sql.SQL(", ").join(
                sql.SQL("{} AS {}").format(sql.Identifier(column), sql.Identifier(name))
                for name, column in self.columns.items()
            ),
            sql.Identifier(self.table),
            self._where(filters),
            sql.Identifier(page.column),
            order=sql.SQL("DESC" if page.descending else "ASC"),
        )


def _answer(rows: list[Row], page: Page, total: int) -> dict[str, Any]:
    pages = -(-total // page.limit)
    return {
        "data": rows,
        "pagination": {
            "page": page.number,
            "limit": page.limit,
            "total": total,
            "totalPages": pages,
            "hasNext": page.number < pages,
            "hasPrev": page.number > 1,
        },
    }


async def fetch_page(
    database: Database, listing: Listing, filters: Mapping[str, object], page: Page
) -> dict[str, Any]:
    """Count and page on one connection."""
    values = list(filters.values())
    async with database.connection() as connection:
        counted = await (await connection.execute(listing.count(filters), values)).fetchone()
        selected = await connection.execute(
            listing.select(filters, page), [*values, page.limit, page.offset]
        )
        rows = await selected.fetchall()
    return _answer(rows, page, counted["total"] if counted else 0)
