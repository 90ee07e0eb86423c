"""A PostgreSQL server as a source, with a real server: what is new is taken once, what is refused tells no secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.nights import conf_of
from tests.postgres import Postgres, binaries, server
from tests.tables import assert_rows

from medlake.doors.lake import Lake
from medlake.grammar.errors import ConfigError, InputRefusedError
from medlake.sources.database import Extract, bounds_query, rows_query
from medlake.sources.declared import declared
from medlake.steps.runner import Options, Runner

PROGRAMS = binaries()
needs_server = pytest.mark.skipif(PROGRAMS is None, reason="no initdb: apt-get install postgresql")
TABLE = """
    DROP SCHEMA IF EXISTS ehr CASCADE; CREATE SCHEMA ehr;
    CREATE TABLE ehr.labs (id bigint, "Patient" text, value numeric, flag boolean, taken timestamptz, note text,
                           updated_at timestamp, gone boolean);
    INSERT INTO ehr.labs VALUES
        (1, 'p1', 12.50, true, '2024-01-02 03:04:05+01', 'a "b" O''Neill', '2024-01-01 10:00:00', false),
        (2, 'p1', 12345678901234567890123.1, false, null, '', '2024-01-01 11:00:00', null),
        (3, 'p2', null, null, 'infinity', 'ü', '2024-01-01 12:00:00', false),
        (null, 'p3', 1, null, null, null, '2024-01-01 09:00:00', false);
    CREATE TABLE ehr.people AS SELECT 'p' || n AS id, n, 'F' AS sex FROM generate_series(1, 40) AS n;
"""
DECLARED = """
format = "jdbc"
url = "{url}"
user = "owner"
password_env = "EHR_PASSWORD"

[table.labs]
table = "ehr.labs"
key = "id"
watermark = "updated_at"
deleted = "gone"

[table.people]
query = "SELECT * FROM ehr.people;"
key = ["id"]
partition_column = "n"
partitions = 3

[table.twice]
query = "SELECT id, sex FROM ehr.people UNION ALL VALUES ('p1', 'F'), ('p2', 'M')"
key = ["id"]
"""
MAPPING = """SELECT id AS event_source_value, `Patient` AS person_source_value, 'x' AS measurement_source_value,
                    coalesce(taken, updated_at) AS measurement_datetime, value AS value_source_value FROM labs"""
PEOPLE = "SELECT id AS person_source_value, CASE sex WHEN 'M' THEN 8507 ELSE 8532 END AS gender_concept_id FROM people"


@pytest.fixture(scope="module")
def running() -> Iterator[Postgres]:
    assert PROGRAMS is not None
    with server(PROGRAMS) as found:
        yield found


class Home:
    """A lake with one database source, and what was read into it."""

    def __init__(self, spark: SparkSession, folder: Path, postgres: Postgres, text: str = DECLARED) -> None:
        self.folder, self.lake = folder, Lake(spark, folder / "lake")
        self.declare("ehr", text.format(url=postgres.url))
        (folder / "landing").mkdir()

    def declare(self, name: str, text: str, **sql: str) -> None:
        source = conf_of(self.folder / "conf") / "sources" / name
        source.mkdir(parents=True, exist_ok=True)
        (source / "source.toml").write_text(text)
        for table, mapping in sql.items():
            (source / f"{table}.sql").write_text(mapping)

    def steps(self, *names: str) -> int:
        return Runner(Options(conf=self.folder / "conf", lake=self.folder / "lake", landing=self.folder / "landing")).part(*names)

    def labs(self):
        return self.lake.read("bronze.csv_record").where("source_table = 'labs'").selectExpr(
            "record['id'] AS id", "record['value'] AS value", "record['flag'] AS flag", "record['taken'] AS taken",
            "record['note'] AS note", "is_deletion", "batch",
        )  # fmt: skip


@pytest.fixture
def home(spark: SparkSession, tmp_path: Path, running: Postgres, monkeypatch: pytest.MonkeyPatch) -> Home:
    running.run(TABLE)
    monkeypatch.setenv("EHR_PASSWORD", running.password)
    return Home(spark, tmp_path, running)


@needs_server
@pytest.mark.slow
def test_rows_are_taken_whole_then_only_what_is_new_and_each_once(home: Home, running: Postgres) -> None:
    home.declare("ehr", DECLARED.format(url=running.url), person=PEOPLE, measurement=MAPPING)
    assert home.steps("ingest", "link", "build") == 0
    assert_rows(home.labs(), """
        id | value                     | flag  | taken                  | note           | is_deletion
        1  | 12.50                     | true  | 2024-01-02 02:04:05+00 | a "b" O'Neill  | false
        2  | 12345678901234567890123.1 | false | null                   | null           | false
        3  | null                      | null  | infinity               | ü              | false
    """)
    by_table = home.lake.read("bronze.csv_record").groupBy("source_table")
    assert {r["source_table"]: r["count"] for r in by_table.count().collect()} == {"labs": 3, "people": 40, "twice": 40}
    aside = home.lake.read("quarantine.record").where("target LIKE 'bronze.%'")  # a copy of p1 is none; two words about p2 are
    assert_rows(aside, "source_table | reason_code | target\nlabs | key_missing | bronze.csv_record\ntwice | key_repeated | bronze.csv_record")
    assert_rows(home.lake.read("ops.watermark"), "source_table | column | value\nlabs | updated_at | 2024-01-01 12:00:00")
    assert home.lake.read("silver.person").count() == 40
    assert_rows(home.lake.read("silver.measurement"), "value_as_number\n12.5\n12345678901234567890123.1")
    versions = {t: home.lake.version(t) for t in ("bronze.csv_record", "quarantine.record", "ops.batch", "ops.watermark", "bronze.landing_file")}

    assert home.steps("ingest") == 0  # nothing is new
    assert {t: home.lake.version(t) for t in versions} == versions

    running.run("""
        UPDATE ehr.labs SET value = 99, updated_at = '2024-01-02 08:00:00' WHERE id = 1;
        INSERT INTO ehr.labs VALUES (4, 'p4', 4, null, null, null, '2024-01-01 12:00:00', false),
                                    (5, 'p5', 5, null, null, null, '2024-01-01 11:59:59', false);
        UPDATE ehr.labs SET gone = true, updated_at = '2024-01-02 09:00:00' WHERE id = 2;
        UPDATE ehr.people SET sex = 'M' WHERE id = 'p7';
    """)
    seen = home.lake.read("ops.batch").agg({"batch": "max"}).first()[0]
    assert home.steps("ingest", "link", "build") == 0
    last = home.labs().where(f"batch > {seen}")
    # 4 has the very moment of the last watermark; 5 is below it and stays behind: a watermark says what is new
    assert_rows(last, "id | value | is_deletion\n1 | 99 | false\n4 | 4 | false\n2 | 12345678901234567890123.1 | true")
    people = home.lake.read("bronze.csv_record").where(f"source_table = 'people' AND batch > {seen}")
    assert_rows(people.selectExpr("record['id'] AS id", "record['sex'] AS sex"), "id | sex\np7 | M")
    told = home.lake.read("ops.batch_manifest")
    assert told.where("rows_in <> rows_kept + rows_quarantined + rows_merged").count() == 0
    assert_rows(told.where(f"batch > {seen} AND source_table = 'people'"), "rows_in | rows_kept | rows_merged\n40 | 1 | 39")
    assert_rows(home.lake.read("silver.measurement"), "value_as_number\n99.0\n4.0")
    assert home.lake.read("silver.person").where("gender_concept_id = 8507").count() == 1


def closed_port() -> str:
    return "jdbc:postgresql://127.0.0.1:1/postgres"


@needs_server
def test_a_server_that_cannot_be_asked_stops_no_other(home: Home, running: Postgres, monkeypatch, capfd) -> None:
    one = '\n[table.t]\ntable = "ehr.people"\nkey = "id"\n'
    start = 'format = "jdbc"\nuser = "owner"\n'
    monkeypatch.setenv("WRONG_PASSWORD", "wrong-" + running.password)
    home.declare("a_closed", f'{start}url = "{closed_port()}"\npassword_env = "EHR_PASSWORD"\n{one}')
    home.declare("b_denied", f'{start}url = "{running.url}"\npassword_env = "WRONG_PASSWORD"\n{one}')
    home.declare("c_no_table", f'{start}url = "{running.url}"\npassword_env = "EHR_PASSWORD"\n{one}'.replace("ehr.people", "ehr.nope"))
    home.declare("d_no_secret", f'{start}url = "{running.url}"\npassword_env = "NOT_SET_ANYWHERE"\n{one}')
    secret = home.folder / "secret"
    secret.write_text(running.password + "\n")
    home.declare("e_open_file", f'{start}url = "{running.url}"\npassword_file = "{secret}"\n{one}')
    secret.chmod(0o644)
    home.declare("f_no_column", f'{start}url = "{running.url}"\npassword_env = "EHR_PASSWORD"\n{one}watermark = "nope"\n')
    assert home.steps("ingest") == InputRefusedError.exit_code
    said = capfd.readouterr()
    told = said.err + said.out
    for name, words in {
        "a_closed": "cannot be reached", "b_denied": "refuses the user or the password", "c_no_table": "does not have a table",
        "d_no_secret": "has no NOT_SET_ANYWHERE", "e_open_file": "chmod 600", "f_no_column": "no column nope",
    }.items():  # fmt: skip
        assert re.search(rf"refused: {name}: .*{words}", told), (name, told)
    assert home.labs().count() == 3
    assert running.password not in told
    secret.chmod(0o600)
    home.declare("e_open_file", f'{start}url = "{running.url}"\npassword_file = "{secret}"\n{one}')
    home.steps("ingest")
    assert home.lake.read("bronze.csv_record").where("source = 'e_open_file'").count() == 40
    secret.unlink()
    for path in home.folder.rglob("*"):
        assert not path.is_file() or running.password.encode() not in path.read_bytes(), path


@needs_server
def test_no_plan_shows_the_password(home: Home, running: Postgres, spark: SparkSession) -> None:
    from medlake.doors.database import connected

    database = connected(spark, "ehr", running.url, "owner", "EHR_PASSWORD", None)
    rows = database.rows("SELECT * FROM ehr.people", ranges=("n", "1", "40", 3))
    assert rows.rdd.getNumPartitions() == 3 and rows.count() == 40
    plan = rows._jdf.queryExecution()
    assert running.password not in plan.toString() + plan.logical().toJSON() + repr(database)


GOOD = {
    "format": "jdbc", "url": "jdbc:postgresql://h/db", "user": "u", "password_env": "E",
    "table": {"t": {"table": "t", "key": "id"}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"url": "jdbc:mysql://h/db"}, "must begin with jdbc:postgresql:"),
        ({"url": "jdbc:postgresql://u:geheim@h/db"}, "must hold no user and no password"),
        ({"url": "jdbc:postgresql://h/db?password=geheim"}, "must hold no user and no password"),
        ({"password": "geheim"}, "may not stand in source.toml"),
        ({"password_file": "f"}, "exclude each other"),
        ({"table": {}}, "needs at least one"),
        ({"table": {"t": {"table": "t"}}}, "key is needed"),
        ({"table": {"t": {"table": "t", "query": "SELECT 1", "key": "id"}}}, "either table or query"),
        ({"table": {"t": {"key": "id"}}}, "either table or query"),
        ({"table": {"t": {"table": "t", "key": "id", "lower": 1}}}, "belong together"),
        ({"table": {"t": {"table": "t", "key": "id", "lower": 1, "upper": 2}}}, "need partition_column"),
        ({"table": {"t": {"table": "t", "key": "id", "watermark": 3}}}, "must be a text"),
        ({"table": {"t": {"table": "t", "key": "id", "nope": 3}}}, "nope"),
    ],
)
def test_a_faulty_declaration_is_told_without_its_secret(change: dict, fault: str) -> None:
    declared("west", GOOD, {}, {})
    with pytest.raises(ConfigError) as told:
        declared("west", {**GOOD, **change}, {}, {})
    assert fault in str(told.value) and "geheim" not in str(told.value)


def test_what_is_asked_quotes_every_name_and_value() -> None:
    extract = Extract("t", table='a.b"c', watermark="w", partition_column="p")
    assert rows_query(extract, ["x"], "o'clock", "z") == (
        'SELECT "x"::text AS "x", "p" AS "_partition" FROM "a"."b""c"' " WHERE (\"w\" >= 'o''clock' AND \"w\" <= 'z') OR \"w\" IS NULL"
    )
    assert rows_query(extract, ["x"], None, None).endswith('FROM "a"."b""c"')
    assert bounds_query(Extract("t", query="SELECT 1;"), None).endswith("FROM (SELECT 1) AS q")
