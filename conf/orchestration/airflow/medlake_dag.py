"""An example of the night as an Airflow DAG (Airflow ≥ 2.9): each step a command line, nothing of Spark in Airflow.

Use: copy this file into the DAG folder of an Airflow that lives in an environment of its own, and set the Airflow
variables medlake_bin, medlake_conf, medlake_lake and medlake_landing. `AFTER` repeats conf/nightly.toml.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow import DAG
from airflow.operators.bash import BashOperator

AFTER = {
    "ingest": [],
    "link": ["ingest"],
    "build": ["link"],
    "quality": ["build"],
    "features": ["build"],
    "cluster": ["features"],
    "associate": ["features"],
    "train": ["features"],
    "score": ["train"],
    "evaluate": ["score"],
    "report": ["quality", "cluster", "associate", "evaluate"],
    "audit": ["report"],
}
NOT_AGAIN = {"audit"}
OPTIONS = (
    "--conf '{{ var.value.medlake_conf }}' --lake '{{ var.value.medlake_lake }}' "
    "--landing '{{ var.value.medlake_landing }}'"
)

with DAG(
    dag_id="medlake_night",
    schedule="0 2 * * *",
    start_date=datetime(2024, 1, 1),
    catchup=False,
    max_active_runs=1,
    max_active_tasks=1,  # a lake has one writer
    default_args={"retry_delay": timedelta(minutes=5)},
):
    # A step that refused one source (exit code 4) went on with the others; so does the night.
    steps = {
        name: BashOperator(
            task_id=name,
            bash_command=f"'{{{{ var.value.medlake_bin }}}}' {name} {OPTIONS} || [ $? -eq 4 ]",
            retries=0 if name in NOT_AGAIN else 1,
        )
        for name in AFTER
    }
    for name, before in AFTER.items():
        for earlier in before:
            steps[earlier] >> steps[name]
