"""The session remembers where things are in the JVM, never what they hold."""

from __future__ import annotations

import pytest
from py4j.java_gateway import JavaClass, JavaMember
from pyspark.sql import SparkSession


def test_a_name_is_asked_for_once(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    jvm = spark.sparkContext._jvm
    client, asked = jvm._gateway_client, []
    send = client.send_command
    monkeypatch.setattr(client, "send_command", lambda command, *rest, **more: asked.append(command) or send(command, *rest, **more))
    found = [jvm.java.util.Locale.forLanguageTag for _ in range(3)]
    assert isinstance(jvm.java.util.Locale, JavaClass) and isinstance(found[0], JavaMember)
    assert len(asked) <= 4 and all(member is found[0] for member in found)
    assert found[0]("de").getLanguage() == "de"


def test_values_are_asked_for_each_time(spark: SparkSession) -> None:
    """What a property is when it is asked for, and not what it was."""
    system = spark.sparkContext._jvm.java.lang.System
    for said in ("1", "2"):
        system.setProperty("medlake.test", said)
        assert system.getProperty("medlake.test") == said
    assert "MAX_VALUE" not in vars(spark.sparkContext._jvm.java.lang.Long)
    assert spark.sparkContext._jvm.java.lang.Long.MAX_VALUE == 2**63 - 1
    assert "MAX_VALUE" not in vars(spark.sparkContext._jvm.java.lang.Long)


def test_what_is_not_there_is_told(spark: SparkSession) -> None:
    with pytest.raises(TypeError, match="callable"):
        spark.sparkContext._jvm.java.util.NoSuchThing()
