"""Fields are matched by name, and a header that cannot be matched says what to change."""

from __future__ import annotations

import pytest

from ingest.contract import Contract
from ingest.errors import FileRefused
from ingest.header import Header, check_owner, match_header, positional


def contract(**csv: object) -> Contract:
    columns = [
        {"name": "user_id", "type": "bigint", "nullable": False, "description": "Who.", "aliases": ["Customer No"]},
        {"name": "visited_on", "type": "date", "nullable": False, "description": "When."},
        {"name": "device", "type": "text", "nullable": True, "description": "With what.", "aliases": ["gadget"]},
    ]
    return Contract.model_validate(
        {
            **{"feed": "visits", "domain": "web", "description": "Visits.", "event_time": "visited_on"},
            **{"user": "user_id", "key": ["user_id"], "cadence": "daily", "columns": columns, "csv": csv},
            "freshness": {"warn_after_days": 1, "error_after_days": 2},
        }
    )


def refusal(*fields: str, **csv: object) -> str:
    with pytest.raises(FileRefused) as raised:
        match_header(fields, contract(**csv))
    return str(raised.value)


def test_the_contracts_own_header() -> None:
    fields = ("user_id", "visited_on", "device")
    assert match_header(fields, contract()) == Header(fields, added=(), missing=())


@pytest.mark.parametrize(
    ("fields", "columns"),
    [
        (("device", "user_id", "visited_on"), ("device", "user_id", "visited_on")),
        (("User_ID", "VISITED_ON", "Device"), ("user_id", "visited_on", "device")),
        ((" user_id", "visited_on\t", "\u00a0device "), ("user_id", "visited_on", "device")),
        (("\ufeffuser_id", "visited_on", "device"), ("user_id", "visited_on", "device")),
        (('\ufeff"user_id"', "visited_on", "device"), ("user_id", "visited_on", "device")),
        (("customer no", "visited_on", "GADGET "), ("user_id", "visited_on", "device")),
    ],
)
def test_names_match_whatever_order_case_and_white_space(fields: tuple[str, ...], columns: tuple[str, ...]) -> None:
    assert match_header(fields, contract()) == Header(columns, added=(), missing=())


def test_added_and_missing_columns_are_told() -> None:
    header = match_header(("Browser ", "user_id", "", "visited_on"), contract())
    assert header == Header((None, "user_id", None, "visited_on"), added=("Browser ", ""), missing=("device",))


def test_file_without_header_has_the_contracts_order() -> None:
    assert positional(contract()) == Header(("user_id", "visited_on", "device"), added=(), missing=())


def test_missing_required_column_shows_both_headers() -> None:
    assert refusal("gadget", "user_id", "visited_at", "x" * 50).splitlines() == [
        f"header is not the contract's (missing: visited_on; unknown: 'visited_at', '{'x' * 39}…')",
        "if a column has a new name, write that below the column in the contract: aliases: [new name]",
        "  contract   | file",
        "  user_id    | user_id",
        "  visited_on | -   <--",
        "  device     | gadget",
        "  -          | visited_at",
        f"  -          | {'x' * 39}…",
    ]


def test_optional_column_is_not_blamed() -> None:
    assert "  device     | - (may be missing)" in refusal("user_id").splitlines()


@pytest.mark.parametrize("second", ["user_id", "USER_ID", "customer no"])
def test_column_that_comes_twice(second: str) -> None:
    message = refusal("user_id", "visited_on", second)
    assert message.startswith("header is not the contract's (there twice: user_id)")
    assert f"  user_id    | user_id, {second}   <--" in message


@pytest.mark.parametrize("fields", [(), ("",), ("", " "), ("\ufeff",)])
def test_empty_header(fields: tuple[str, ...]) -> None:
    assert "there is no header" in refusal(*fields)


def test_header_that_looks_like_data() -> None:
    message = refusal("17", "2024-01-01", "phone")
    assert "looks like data" in message
    assert "csv: {header: false}" in message
    assert not [field for field in ("17", "2024-01-01", "phone") if field in message]


def test_one_field_of_data_is_not_shown_and_one_of_names_is() -> None:
    message = refusal("17;ann@example.com;phone")
    assert '{delimiter: ";"}' in message
    assert not [value for value in ("17", "ann", "phone") if value in message]
    assert "'user_id;\"visited on\";x'" in refusal('user_id;"visited on";x')


def test_header_of_which_a_name_matches_is_no_data() -> None:
    assert "header: false" not in refusal("user_id", "2024-01-01")


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("user_id;visited_on;device", '{delimiter: ";"}'),
        ("user_id\tvisited_on\tdevice", '{delimiter: "\\t"}'),
        ("user_id|visited_on|a,b;c", '{delimiter: "|"}'),
    ],
)
def test_other_delimiter(field: str, shown: str) -> None:
    message = refusal(field)
    assert f"csv: {shown}" in message
    assert "header: false" not in message
    assert "\t" not in message


def test_comma_where_the_contract_says_another() -> None:
    assert 'csv: {delimiter: ","}' in refusal("user_id,visited_on,device", delimiter=";")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
@pytest.mark.parametrize("decode", [("utf-8", "replace"), ("utf-8", "surrogateescape"), ("latin-1", "strict")])
def test_utf_16(encoding: str, decode: tuple[str, str]) -> None:
    message = refusal(*"user_id,visited_on,device".encode(encoding).decode(*decode).split(","))
    assert "csv: {encoding: utf-16}" in message
    assert "\0" not in message
    message.encode()


def test_utf_16_is_known_by_its_mark_alone() -> None:
    text = "名前".encode("utf-16").decode("utf-8", "replace")
    assert "csv: {encoding: utf-16}" in refusal(text)


def test_long_header_is_cut() -> None:
    lines = refusal(*(f"field_{number}" for number in range(5000))).splitlines()
    assert len(lines) < 20
    assert lines[-1].endswith("… and 4990 more")


def feed_of(feed: str, **columns: bool) -> Contract:
    """A contract of these columns, true where one may be null; the first is required."""
    described = [
        {"name": name, "type": "text", "nullable": nullable, "description": name, "aliases": [f"the {name}"]}
        for name, nullable in columns.items()
    ]
    return Contract.model_validate(
        {
            **{"feed": feed, "domain": "web", "description": "People.", "delivery": "full_extract"},
            **{"key": [described[0]["name"]], "cadence": "daily", "columns": described},
            "freshness": {"warn_after_days": 1, "error_after_days": 2},
        }
    )


PEOPLE = feed_of("people", person=False, town=True, plan=True)
ORDERS = feed_of("orders", purchase=False, person=False, paid=True)


def check(*fields: str, contract: Contract = PEOPLE, others: tuple[Contract, ...] = (ORDERS,)) -> None:
    check_owner(fields, match_header(fields, contract), contract, (contract, *others))


def test_a_file_of_another_feed_is_refused() -> None:
    with pytest.raises(FileRefused) as raised:
        check("The Purchase", "person")
    assert str(raised.value) == (
        "looks like a file of the feed orders: all its columns are that one's, and it has none of town, plan, which"
        " people has; move it to landing/orders/. If it really is one of people, drop the columns The Purchase from it,"
        " or add them to the contract"
    )
    with pytest.raises(FileRefused, match="a file of the feed orders or sales: "):
        check("purchase", "person", "paid", others=(ORDERS, ORDERS.model_copy(update={"feed": "sales"})))


@pytest.mark.parametrize(
    "fields",
    [
        ("person",),  # columns may be missing
        ("person", "town", "purchase"),  # one of its own is there
        ("person", "paid"),  # the other feed requires more
        ("person", "purchase", "colour"),  # and does not know all
        ("person", "purchase", "the purchase"),
    ],
)
def test_a_file_that_may_be_of_its_feed_is_taken(fields: tuple[str, ...]) -> None:
    check(*fields)


def test_a_file_that_fits_its_own_contract_is_taken_whatever_others_there_are() -> None:
    check("person", "town", "plan", others=(PEOPLE.model_copy(update={"feed": "persons"}),))
    check("person", others=(PEOPLE.model_copy(update={"feed": "persons"}), feed_of("names", person=False)))
    check(
        "person",
        "purchase",
        others=(ORDERS.model_copy(update={"csv": ORDERS.csv.model_copy(update={"header": False})}),),
    )
    # one that has no column to miss has a required one that says whose file it is
    check("person", "purchase", contract=feed_of("names", person=False))


def test_more_names_than_a_table_can_have_columns_are_refused_at_once() -> None:
    added = [f"added_{place}" for place in range(1_598)]
    assert len(match_header(["user_id", "visited_on", *added], contract()).added) == 1_598
    message = refusal("user_id", "visited_on", *added, "one_more")
    assert message == "the header has 1,601 names, at most 1,600 are read: drop some of them"
