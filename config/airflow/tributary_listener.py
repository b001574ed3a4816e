"""Airflow plugin: sends task, DAG run and asset events to Kafka for Tributary.

Put this file into the plugins folder of the scheduler, of the workers and of the DAG processor and API server, and
`pip install confluent-kafka` there. Works with Airflow 2.9 to 3.x. Settings are variables of the environment:

    TRIBUTARY_KAFKA_BOOTSTRAP_SERVERS  host:port[,host:port...]; without it the plugin does nothing
    TRIBUTARY_AIRFLOW_TOPIC            topic, by default airflow.events
    TRIBUTARY_AIRFLOW_NAMESPACE        namespace of the jobs; by default that of the OpenLineage provider, else "default"
    TRIBUTARY_KAFKA_PROPERTIES         JSON object of further librdkafka properties (security.protocol, sasl.*, ...)

A task never fails and never waits long because of this plugin: what cannot be sent within a few seconds is logged and
lost. docs/airflow.md describes the events.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from datetime import datetime, timezone

log = logging.getLogger("tributary_listener")

FLUSH_SECONDS = 5
TEXT_LIMIT = 20_000

_lock = threading.Lock()
_producer = None
_producer_pid = None


def _airflow_version() -> str:
    try:
        from airflow import __version__

        return str(__version__)
    except Exception:
        return ""


AIRFLOW_VERSION = _airflow_version()


def _version_tuple(text: str) -> tuple[int, int]:
    numbers = []
    for part in text.split(".")[:2]:
        digits = "".join(c for c in part if c.isdigit())
        numbers.append(int(digits or 0))
    return (numbers + [0, 0])[0], (numbers + [0, 0])[1]


VERSION = _version_tuple(AIRFLOW_VERSION)


# --- reading Airflow's objects, which differ between versions and between scheduler and worker ---------------------


def _get(thing, *names):
    """The first attribute that is there and says something. Attributes of ORM objects may fail without a session."""
    for name in names:
        try:
            value = getattr(thing, name, None)
        except Exception:
            continue
        if value is not None and not callable(value):
            return value
    return None


def _plain(value):
    """A value as JSON has it."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=timezone.utc)
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    # Enumerations of states and kinds are their values.
    inner = getattr(value, "value", None)
    return (inner if isinstance(inner, str) else str(value))[:TEXT_LIMIT]


def _fields(thing, names):
    return {name: _plain(_get(thing, name)) for name in names}


def _asset(asset):
    """An asset, or what was called a dataset before Airflow 3; None for what has neither URI nor name."""
    uri, name = _get(asset, "uri"), _get(asset, "name")
    if uri is None and name is None:
        return None
    return {
        "name": _plain(name if name is not None else uri),
        "uri": _plain(uri if uri is not None else name),
        "group": _plain(_get(asset, "group")),
        "extra": _plain(_get(asset, "extra")),
    }


def _assets(items):
    """Aliases and references say only which asset may be meant."""
    named = [item for item in items or [] if not type(item).__name__.endswith(("Alias", "Ref"))]
    return [_asset(item) for item in named if _get(item, "uri") is not None]


def _schedule(dag):
    timetable = _get(dag, "timetable")
    summary = _get(timetable, "summary") if timetable is not None else None
    schedule = summary if summary is not None else _get(dag, "timetable_summary", "schedule_interval", "schedule")
    return None if schedule is None else str(schedule)


def _task(task):
    if task is None:
        return None
    return {
        "operator": _plain(_get(task, "task_type") or type(task).__name__),
        "owner": _plain(_get(task, "owner")),
        "upstream": sorted(_get(task, "upstream_task_ids") or []),
        "downstream": sorted(_get(task, "downstream_task_ids") or []),
        "retries": _plain(_get(task, "retries")),
        "trigger_rule": _plain(_get(task, "trigger_rule")),
        "inlets": _assets(_get(task, "inlets")),
        "outlets": _assets(_get(task, "outlets")),
        "doc": _plain(_get(task, "doc")),
        "doc_md": _plain(_get(task, "doc_md")),
    }


def _dag(dag):
    if dag is None:
        return None
    return {
        "owner": _plain(_get(dag, "owner")),
        "tags": sorted(str(_get(tag, "name") or tag) for tag in _get(dag, "tags") or []),
        "description": _plain(_get(dag, "description")),
        "doc_md": _plain(_get(dag, "doc_md")),
        "schedule": _schedule(dag),
        "task_ids": [str(task) for task in _get(dag, "task_ids") or []],
        "fileloc": _plain(_get(dag, "relative_fileloc", "fileloc")),
    }


def _try_number(ti):
    # Before Airflow 2.10 `try_number` counts on as soon as a try has ended.
    raw = _get(ti, "_try_number") if VERSION < (2, 10) else None
    return raw if isinstance(raw, int) else _plain(_get(ti, "try_number"))


def _dag_run_of(ti):
    """The DAG run of a task instance, without asking the database: a worker of Airflow 3 has none."""
    for holder in (ti, _get(ti, "_ti_context_from_server")):
        run = _get(holder, "dag_run") if holder is not None else None
        if run is not None:
            return run
    return None


TASK_INSTANCE = (
    "id dag_id task_id run_id map_index max_tries state start_date end_date duration queue pool priority_weight "
    "operator hostname pid dag_version_id rendered_map_index note external_executor_id queued_dttm scheduled_dttm"
).split()
DAG_RUN = (
    "id dag_id run_id run_type state data_interval_start data_interval_end run_after queued_at start_date end_date "
    "clear_number conf triggered_by triggering_user_name backfill_id bundle_version creating_job_id"
).split()


def _task_instance(ti):
    run = _dag_run_of(ti)
    event = _fields(ti, TASK_INSTANCE)
    event["try_number"] = _try_number(ti)
    event["logical_date"] = _plain(
        _get(ti, "logical_date", "execution_date") or _get(run, "logical_date", "execution_date")
    )
    event["run_after"] = _plain(_get(run, "run_after"))
    event["clear_number"] = _plain(_get(run, "clear_number"))
    event["task"] = _task(_get(ti, "task"))
    return event


def _consumed(run):
    events = _get(run, "consumed_asset_events", "consumed_dataset_events") or []
    names = ("source_dag_id", "source_task_id", "source_run_id", "source_map_index", "timestamp")
    found = []
    for event in events:
        asset = _get(event, "asset", "dataset")
        found.append({**_fields(event, names), "uri": _plain(_get(event, "uri") or _get(asset, "uri"))})
    return found


def _dag_run(run):
    event = _fields(run, DAG_RUN)
    event["logical_date"] = _plain(_get(run, "logical_date", "execution_date"))
    event["dag"] = _dag(_get(run, "dag"))
    event["consumed_asset_events"] = _consumed(run)
    return event


def _error(error):
    if error is None:
        return None
    return {"type": type(error).__name__, "message": str(error)[:TEXT_LIMIT]}


# --- sending -------------------------------------------------------------------------------------------------------


def _namespace():
    namespace = os.environ.get("TRIBUTARY_AIRFLOW_NAMESPACE")
    if not namespace:
        try:
            from airflow.configuration import conf

            namespace = conf.get("openlineage", "namespace", fallback="")
        except Exception:
            pass
    return namespace or os.environ.get("OPENLINEAGE_NAMESPACE") or "default"


def _kafka():
    """The producer of this process: tasks run in forks, which must not share one."""
    global _producer, _producer_pid
    servers = os.environ.get("TRIBUTARY_KAFKA_BOOTSTRAP_SERVERS")
    if not servers:
        return None
    with _lock:
        if _producer is None or _producer_pid != os.getpid():
            from confluent_kafka import Producer

            properties = {
                "bootstrap.servers": servers,
                "client.id": "tributary-airflow-listener",
                "enable.idempotence": True,
                "compression.type": "gzip",
                # Keys must land where other producers of Kafka put them.
                "partitioner": "murmur2_random",
                "message.timeout.ms": 30_000,
            }
            properties.update(json.loads(os.environ.get("TRIBUTARY_KAFKA_PROPERTIES") or "{}"))
            _producer, _producer_pid = Producer(properties), os.getpid()
        return _producer


def _delivered(error, _message):
    if error is not None:
        log.warning("event for Tributary was lost: %s", error)


def envelope(event_type: str, body: dict) -> dict:
    return {
        "event_type": event_type,
        "emitted_at": datetime.now(timezone.utc).isoformat(),
        "namespace": _namespace(),
        "airflow_version": AIRFLOW_VERSION or None,
        **body,
    }


def key(event: dict) -> str | None:
    run = event.get("task_instance") or event.get("dag_run")
    if run:
        return f"{run['dag_id']}/{run['run_id']}"
    asset = event.get("asset") or {}
    return asset.get("uri") or asset.get("name")


def _send(event_type: str, make_body):
    """Never raises: a task must not fail because nobody listens."""
    try:
        producer = _kafka()
        if producer is None:
            return
        event = envelope(event_type, make_body())
        topic = os.environ.get("TRIBUTARY_AIRFLOW_TOPIC") or "airflow.events"
        producer.produce(topic, key=key(event), value=json.dumps(event, default=str).encode(), on_delivery=_delivered)
        # A worker's process may end right after the hook.
        producer.flush(FLUSH_SECONDS)
    except Exception:
        log.warning("event %s was not sent to Tributary", event_type, exc_info=True)


def _send_task(event_type, previous_state, task_instance, error=None):
    def body():
        found = {"previous_state": _plain(previous_state), "task_instance": _task_instance(task_instance)}
        if error is not None:
            found["error"] = _error(error)
        return found

    _send(event_type, body)


def _send_asset(event_type, asset):
    _send(event_type, lambda: {"asset": _asset(asset)})


# --- the plugin: only where Airflow is ------------------------------------------------------------------------------

try:
    from airflow.listeners import hookimpl
    from airflow.plugins_manager import AirflowPlugin
except ImportError:
    hookimpl = AirflowPlugin = None

if hookimpl is not None:

    class Listener:
        @hookimpl
        def on_dag_run_running(self, dag_run, msg):
            _send("dag_run.running", lambda: {"dag_run": _dag_run(dag_run), "msg": msg})

        @hookimpl
        def on_dag_run_success(self, dag_run, msg):
            _send("dag_run.success", lambda: {"dag_run": _dag_run(dag_run), "msg": msg})

        @hookimpl
        def on_dag_run_failed(self, dag_run, msg):
            _send("dag_run.failed", lambda: {"dag_run": _dag_run(dag_run), "msg": msg})

        @hookimpl
        def on_task_instance_running(self, previous_state, task_instance):
            _send_task("task_instance.running", previous_state, task_instance)

        @hookimpl
        def on_task_instance_success(self, previous_state, task_instance):
            _send_task("task_instance.success", previous_state, task_instance)

        # A hook may only ask for what its version of Airflow gives.
        if VERSION >= (2, 10):

            @hookimpl
            def on_task_instance_failed(self, previous_state, task_instance, error):
                _send_task("task_instance.failed", previous_state, task_instance, error)

        else:

            @hookimpl
            def on_task_instance_failed(self, previous_state, task_instance):
                _send_task("task_instance.failed", previous_state, task_instance)

        if VERSION >= (3, 0):

            @hookimpl
            def on_task_instance_skipped(self, previous_state, task_instance):
                _send_task("task_instance.skipped", previous_state, task_instance)

            @hookimpl
            def on_asset_created(self, asset):
                _send_asset("asset.created", asset)

            @hookimpl
            def on_asset_changed(self, asset):
                _send_asset("asset.changed", asset)

        else:

            @hookimpl
            def on_dataset_created(self, dataset):
                _send_asset("asset.created", dataset)

            @hookimpl
            def on_dataset_changed(self, dataset):
                _send_asset("asset.changed", dataset)

    class TributaryListenerPlugin(AirflowPlugin):
        name = "tributary_listener"
        listeners = [Listener()]
