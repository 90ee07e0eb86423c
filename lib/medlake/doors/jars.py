"""The JARs of Delta Lake and PostgreSQL's driver: fetched once into a cache of our own, then passed to Spark by path.

Fetched by the Ivy that Spark ships, from Maven Central alone: a half-filled local Maven repository
(poms without jars) makes the default chain fail, and `--packages` would resolve again at every start
and bring Hadoop's client a second time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from medlake.grammar.errors import ConfigError

# Delta 4.4.0 is built for Spark 4.2 (4.4.1's JAR is not published); the rest is what it loads at run time.
COORDINATES = (
    ("io.delta", "delta-spark_4.2_2.13", "4.4.0"),
    ("io.delta", "delta-storage", "4.4.0"),
    ("io.delta", "delta-kernel-api", "4.4.0"),
    ("io.delta", "delta-kernel-defaults", "4.4.0"),
    ("io.delta", "delta-kernel-unitycatalog", "4.4.0"),
    ("io.unitycatalog", "unitycatalog-client", "0.6.0"),
    ("io.unitycatalog", "unitycatalog-hadoop", "0.6.0"),
    # 1 MB, so it is always there: a session must know its JARs before anybody has looked at a source
    ("org.postgresql", "postgresql", "42.7.14"),
)

_SETTINGS = """<ivysettings>
  <caches defaultCacheDir="{cache}"/>
  <settings defaultResolver="central"/>
  <resolvers><ibiblio name="central" m2compatible="true"/></resolvers>
</ivysettings>"""


def jar_folder() -> Path:
    """Where the JARs lie: MEDLAKE_JARS, or a folder of the user's cache named after the versions."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("MEDLAKE_JARS") or home / "medlake" / "jars-spark4.2-delta4.4.0")


def jar_paths() -> list[Path]:
    """The JARs by path, fetched first where one is absent."""
    folder = jar_folder()
    paths = [folder / f"{name}-{version}.jar" for _, name, version in COORDINATES]
    if not all(path.is_file() for path in paths):
        fetch(folder)
    return paths


def java() -> str:
    """The java program: JAVA_HOME's, or the one on PATH.

    Raises:
        ConfigError: there is none.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if not found:
        raise ConfigError(
            "Java 17 or newer is not installed. On Debian or Ubuntu: apt-get install openjdk-17-jre-headless"
        )
    return found


def fetch(folder: Path) -> None:
    """Fetch the JARs that `folder` lacks, all of them or none.

    Raises:
        ConfigError: Maven Central cannot be reached or does not hold one of them.
    """
    import pyspark

    ivy = Path(pyspark.__file__).parent / "jars" / "*"
    absent = [c for c in COORDINATES if not (folder / f"{c[1]}-{c[2]}.jar").is_file()]
    wanted = "".join(
        f'<dependency org="{org}" name="{name}" rev="{rev}" transitive="false" conf="default->master"/>'
        for org, name, rev in absent
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        work = Path(scratch)
        (work / "settings.xml").write_text(_SETTINGS.format(cache=work / "ivy"))
        (work / "ivy.xml").write_text(
            '<ivy-module version="2.0"><info organisation="medlake" module="jars"/>'
            f'<configurations><conf name="default"/></configurations><dependencies>{wanted}</dependencies>'
            "</ivy-module>"
        )
        command = [java(), "-cp", str(ivy), "org.apache.ivy.Main", "-settings", str(work / "settings.xml")]
        command += [
            "-ivy",
            str(work / "ivy.xml"),
            "-retrieve",
            str(work / "jars/[artifact]-[revision].[ext]"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        missing = [n for _, n, v in absent if not (work / "jars" / f"{n}-{v}.jar").is_file()]
        if done.returncode or missing:
            raise ConfigError(
                f"Could not fetch {len(missing)} of {len(absent)} JARs ({', '.join(missing)}) from Maven "
                f"Central. Is the network up? You can also put them into {folder} by hand."
            )
        folder.mkdir(exist_ok=True)
        for jar in (work / "jars").iterdir():
            jar.replace(folder / jar.name)


if __name__ == "__main__":
    for path in jar_paths():
        print(path.name)
