"""What people type as SQL on a command line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dojo_deploy.app.drafts import Wanted, drafted_from
from dojo_deploy.errors import ConfigError
from dojo_deploy.migrations import fragments


@pytest.mark.parametrize(
    ("query", "writes"),
    [
        ("SELECT 1", False),
        ("select ';' ;", False),
        ("(SELECT 1) UNION (SELECT 2)", False),
        ("WITH gone AS (DELETE FROM cards RETURNING *) SELECT * FROM gone", True),
        ("SELECT * FROM cards FOR UPDATE", True),
        ("SELECT 'delete' AS \"update\"", False),
        ("merge into a using b on true when matched then delete", True),
    ],
)
def test_a_statement_is_known_to_write_or_not(query: str, writes: bool) -> None:
    assert fragments.writes(query) is writes


@pytest.mark.parametrize(
    "query",
    [
        "", ";", "SELECT 1; DELETE FROM cards", "COMMIT", "BEGIN", "EXPLAIN ANALYZE SELECT 1", "DROP TABLE cards",
        "ANALYZE DELETE FROM cards", "SELECT 1 \\gexec", "SELECT 'x", "SELECT 1 /* x", "DO $$ BEGIN END $$",
        "SELECT 1 \\! id", "VACUUM", "COPY cards TO PROGRAM 'id'", "CALL f()", "SELECT $a$ x",
    ],
)  # fmt: skip
def test_whatever_is_not_one_statement_to_explain_is_refused(query: str) -> None:
    with pytest.raises(ConfigError):
        fragments.writes(query)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("cards", ("", "cards")),
        ("Shop.Cards", ("shop", "cards")),
        ('shop."My ""Cards"""', ("shop", 'My "Cards"')),
        (' "a.b" ', ("", "a.b")),
    ],
)
def test_names_are_read_as_the_server_reads_them(text: str, name: tuple[str, str]) -> None:
    assert fragments.name(text) == name


@pytest.mark.parametrize("text", ["", "a.b.c", "'cards'", "cards x", "a;", "a; b", "1", '"', '""', "a.", "a b"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        fragments.name(text)


def test_columns_are_names_and_expressions_with_their_order() -> None:
    assert fragments.columns("price DESC nulls last, lower(name, ','), (a + b) asc, title text_pattern_ops") == (
        ("price", "", " DESC nulls last"),
        ("", "lower(name, ',')", ""),
        ("", "(a + b)", " asc"),
        ("title", "", " text_pattern_ops"),
    )


@pytest.mark.parametrize("text", ["", "a,,b", "a +", "a b", "a) (b", "f(x", "a -- b", "desc", "f(x) g(x)", "$$x$$"])
def test_what_is_no_column_is_refused(text: str) -> None:
    if text in ("desc", "f(x) g(x)"):  # the server's to refuse: nothing in it can end the statement
        fragments.columns(text)
        return
    with pytest.raises(ConfigError):
        fragments.columns(text)


@given(st.text(alphabet="ab(),;'\"\\-*/$ \n", max_size=30))
def test_no_fragment_ends_a_statement(text: str) -> None:
    from dojo_deploy.migrations.tokens import statements

    try:
        found = fragments.condition(text)
    except ConfigError:
        return
    assert len(statements(f"SELECT ({found or 1}) AS tail")) == 1
    assert statements(f"SELECT ({found or 1}) AS tail")[0][-1].text == "tail"


def test_the_same_wish_has_the_same_name_and_another_one_another() -> None:
    names = [
        drafted_from(wanted).name
        for wanted in (
            Wanted("products", "price"),
            Wanted("Products", "PRICE "),
            Wanted("products", "price", where="price > 1"),
            Wanted("products", "price desc"),
            Wanted("products", "price", is_unique=True),
            Wanted("p" * 60, "price"),
            Wanted("ü" * 60, "price"),
        )
    ]
    assert names[0] == names[1] == "products_price_idx"
    assert len(set(names)) == 6
    assert all(len(name.encode()) <= 63 for name in names)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("SELECT *\n FROM users WHERE mail = 'a@b.c' AND id = 5", "SELECT * FROM users WHERE mail = ? AND id = ?"),
        ("SELECT $1, 'it''s'", "SELECT $1, ?"),
        ("SELECT 'cut off by the ser", "SELECT ?…"),
        ("SELECT $$secret$$", "SELECT ?…"),
        ("SELECT 1 -- secret\n, 2", "SELECT ? , ?"),
    ],
)
def test_what_users_typed_is_not_shown(query: str, shown: str) -> None:
    assert fragments.masked(query) == shown


def test_a_long_statement_is_cut() -> None:
    assert len(fragments.masked("SELECT a" + ", a" * 500)) == 160
