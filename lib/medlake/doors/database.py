"""The door to a database: one server, asked by JDBC. A password passes through and is nowhere written down.

It comes from the environment or from a file, goes to Spark as a connection option (which Spark keeps out of plans
and redacts in its page), and no error carries what the server said: that may hold a value, or the way in.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row, SparkSession

from medlake.grammar.errors import InputRefusedError

DRIVER = "org.postgresql.Driver"
WAIT_SECONDS = "10"  # for a connection; a server that is down must not hold up the night
FETCH_ROWS = "10000"  # rows a round trip; the driver's default is all of them, in memory
# Texts of times and dates that do not depend on how the server is set up; nothing can be changed there.
FIRST_WORDS = (
    "SET TIME ZONE 'UTC'; SET datestyle TO 'ISO, YMD'; SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"
)
# The first two characters of SQLSTATE (PostgreSQL's appendix A) → what to do about it.
CAUSES = {
    "08": "cannot be reached. Is it up, and is the url right?",
    "28": "refuses the user or the password. Look at user, and password_env or password_file.",
    "3D": "does not exist on its server. Correct the url.",
    "42": "does not have a table or column that source.toml names, or the user may not read it.",
    "57": "stopped the question: it is going down, or the question took too long.",
}


@dataclass(frozen=True)
class Database:
    """One source's database."""

    spark: SparkSession
    source: str
    url: str
    user: str | None
    password: str | None = field(repr=False)

    def rows(self, query: str, *, ranges: tuple[str, str, str, int] | None = None) -> DataFrame:
        """The query's rows. `ranges`: (column, lower, upper, number): so many connections read side by side.

        Raises:
            InputRefusedError: the server cannot be asked.
        """
        choices = {
            "url": self.url, "driver": DRIVER, "dbtable": f"({query}) AS medlake", "fetchsize": FETCH_ROWS,
            "sessionInitStatement": FIRST_WORDS, "connectTimeout": WAIT_SECONDS, "loginTimeout": WAIT_SECONDS,
            "ApplicationName": "medlake",
        }  # fmt: skip
        choices |= {k: v for k, v in (("user", self.user), ("password", self.password)) if v is not None}
        if ranges:
            column, lower, upper, number = ranges
            choices |= {"partitionColumn": column, "lowerBound": lower, "upperBound": upper}
            choices["numPartitions"] = str(number)
        with self.refusing():
            return self.spark.read.format("jdbc").options(**choices).load()

    def columns(self, origin: str) -> list[str]:
        """The columns of a table or query.

        Raises:
            InputRefusedError: the server cannot be asked, or a column has a type that Spark does not know.
        """
        try:
            return self.rows(f"SELECT * FROM {origin} WHERE false").columns
        except PySparkException as fault:
            raise InputRefusedError(
                f"A table of source {self.source} has a column of a type that Spark does not know. "
                "Name the columns in a query, and turn that one into text."
            ) from fault

    def one(self, query: str) -> Row:
        """The only row of a query that has one."""
        found = self.rows(query)
        with self.refusing():
            row = found.first()
        assert row is not None
        return row

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """What the database raises within becomes one clear error; everything else passes.

        Raises:
            InputRefusedError: the server said no, or nothing.
        """
        try:
            yield
        except (PySparkException, Py4JError) as fault:
            state = _state(fault)
            if state is None:
                raise
            said = CAUSES.get(state[:2], f"cannot be read (SQLSTATE {state or 'unknown'}).")
            told = f"The database of source {self.source} {said} The other sources go on."
            raise InputRefusedError(told) from None  # the server's own words must not hang on to it


def connected(
    spark: SparkSession, source: str, url: str, user: str | None, password_env: str | None, password_file: str | None
) -> Database:
    """The database of a source, with its password; nothing is asked yet.

    Raises:
        InputRefusedError: the password is not where source.toml says.
    """
    password = None
    if password_env is not None:
        password = os.environ.get(password_env)
        if password is None:
            raise InputRefusedError(f"Source {source}: the environment has no {password_env} with the password.")
    if password_file is not None:
        password = _secret(source, Path(password_file).expanduser())
    return Database(spark, source, url, user, password)


def _secret(source: str, path: Path) -> str:
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise InputRefusedError(f"Source {source}: the password file {path} cannot be read.") from fault
    if mode & 0o077:
        raise InputRefusedError(f"Source {source}: others can read the password file. Run: chmod 600 {path}")
    return text.strip("\r\n")


def _state(fault: Exception) -> str | None:
    """SQLSTATE of what the driver raised, "" where it gives none, None where it was not the driver."""
    at = getattr(fault, "java_exception", None) or getattr(fault, "_origin", None)
    for _ in range(20):  # a chain of causes is short; one that runs in a circle is cut
        if at is None:
            break
        if at.getClass().getName().startswith(("org.postgresql.", "java.sql.")):
            return str(at.getSQLState() or "") if hasattr(at, "getSQLState") else ""
        at = at.getCause()
    return "" if "org.postgresql.util.PSQLException" in str(fault) else None
