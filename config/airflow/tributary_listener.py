"""Airflow plugin: sends task, DAG run and asset events to Kafka for Tributary.

Put this file into the plugins folder of the scheduler, of the workers and of the DAG processor and API server, and
`pip install confluent-kafka` there. Works with Airflow 2.9 to 3.x. Settings are variables of the environment:

    TRIBUTARY_KAFKA_BOOTSTRAP_SERVERS  host:port[,host:port...]; without it the plugin does nothing
    TRIBUTARY_AIRFLOW_TOPIC            topic, by default airflow.events
    TRIBUTARY_AIRFLOW_NAMESPACE        namespace of the jobs; by default the OpenLineage provider's, else "default"
    TRIBUTARY_KAFKA_PROPERTIES         JSON object of further librdkafka properties (security.protocol, sasl.*, ...)

A task never fails because of this plugin, and all its waits for Kafka together are a few seconds at most. The scheduler
and the other services never wait: their events lie in a bounded queue until Kafka takes them or five minutes are over.
What is lost is counted in the log. docs/airflow.md describes the events.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from datetime import datetime, timezone
from importlib import import_module
from multiprocessing.util import Finalize

log = logging.getLogger("tributary_listener")

# How long one process waits for Kafka in vain, in all. A wait that ends well costs nothing.
PATIENCE_SECONDS = 5.0
# How long the start of a task waits: its event is on its way anyhow, unless the task ends its process at once.
START_SECONDS = 1.0
# How often the log tells of lost events.
COMPLAINT_SECONDS = 60.0
TEXT_LIMIT = 20_000
DEPTH_LIMIT = 16
# Brokers take 1 MB by default, headers and all.
EVENT_LIMIT = 900_000
# Task instances that the end of one DAG run tells of.
UNTOLD_LIMIT = 1_000


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


def _text(value):
    """A text that is not too long and that UTF-8 can say: names of files may hold bytes that are none."""
    return str(value)[:TEXT_LIMIT].encode("utf-8", "backslashreplace").decode()


def _plain(value, depth=DEPTH_LIMIT):
    """A value as JSON has it."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=timezone.utc)
        return value.isoformat()
    if depth > 0 and isinstance(value, dict):
        return {_text(key): _plain(item, depth - 1) for key, item in value.items()}
    if depth > 0 and isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, depth - 1) for item in value]
    # Enumerations of states and kinds are their values.
    inner = getattr(value, "value", None)
    return _text(inner if isinstance(inner, str) else value)


def _redacted(value):
    """A value without what Airflow hides in its own logs: secrets that it knows, and what is called a password."""
    for module in ("airflow.sdk.log", "airflow.sdk.execution_time.secrets_masker", "airflow.utils.log.secrets_masker"):
        try:
            redact = import_module(module).redact
        except Exception:
            continue
        return redact(value)
    return value


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
        "extra": _redacted(_plain(_get(asset, "extra"))),
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
    "operator hostname pid dag_version_id rendered_map_index external_executor_id queued_dttm scheduled_dttm"
).split()
DAG_RUN = (
    "id dag_id run_id run_type state data_interval_start data_interval_end run_after queued_at start_date end_date "
    "clear_number conf triggered_by triggering_user_name backfill_id bundle_version creating_job_id"
).split()


def _task_instance(ti, run=None, task=None):
    run = run if run is not None else _dag_run_of(ti)
    event = _fields(ti, TASK_INSTANCE)
    event["try_number"] = _try_number(ti)
    event["logical_date"] = _plain(
        _get(ti, "logical_date", "execution_date") or _get(run, "logical_date", "execution_date")
    )
    event["run_after"] = _plain(_get(run, "run_after"))
    event["clear_number"] = _plain(_get(run, "clear_number"))
    event["task"] = _task(task if task is not None else _get(ti, "task"))
    return event


def _untold(dag_run):
    """Task instances of a DAG run that has ended, of which no hook may have spoken: those that the scheduler skipped,
    removed or gave up, those that do nothing, those whose process was lost; before Airflow 3 also those that skipped
    themselves. With each the task, if it is known."""
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    if session is None:
        return []
    # The scheduler is about to write the state of the run; that must not happen earlier because of us.
    with session.no_autoflush:
        instances = dag_run.get_task_instances(session=session)
    found = []
    for ti in instances:
        state = _plain(_get(ti, "state"))
        # What succeeded and never was on a worker.
        is_empty = state == "success" and not _get(ti, "hostname")
        if is_empty or state in ("failed", "skipped", "upstream_failed", "removed"):
            found.append((state, ti))
    if len(found) > UNTOLD_LIMIT:
        log.info("%d of %d task instances are not told again", len(found) - UNTOLD_LIMIT, len(found))
    tasks = getattr(_get(dag_run, "dag"), "task_dict", None) or {}
    return [(state, ti, tasks.get(ti.task_id)) for state, ti in found[:UNTOLD_LIMIT]]


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
    event["conf"] = _redacted(event["conf"])
    event["logical_date"] = _plain(_get(run, "logical_date", "execution_date"))
    event["dag"] = _dag(_get(run, "dag"))
    event["consumed_asset_events"] = _consumed(run)
    return event


def _error(error):
    if error is None:
        return None
    try:
        message = _text(error)
    except Exception:
        # An exception of somebody's own may fail to say what it is.
        message = ""
    return {"type": type(error).__name__, "message": _redacted(message)}


# --- sending -------------------------------------------------------------------------------------------------------


def _namespace():
    namespace = os.environ.get("TRIBUTARY_AIRFLOW_NAMESPACE")
    if not namespace:
        for module in ("airflow.configuration", "airflow.sdk.configuration"):
            try:
                namespace = import_module(module).conf.get("openlineage", "namespace", fallback="")
                break
            except Exception:
                continue
    return namespace or os.environ.get("OPENLINEAGE_NAMESPACE") or "default"


class Seldom(logging.Filter):
    """Of what librdkafka says while Kafka is away, which is much, one line a minute."""

    last = None

    def filter(self, record):
        now = time.monotonic()
        if self.last is not None and now - self.last < COMPLAINT_SECONDS:
            return False
        self.last = now
        return True


kafka_log = logging.getLogger("tributary_listener.kafka")
kafka_log.addFilter(Seldom())


class Channel:
    """The way of one process to Kafka."""

    def __init__(self, servers):
        from confluent_kafka import Producer

        properties = {
            "bootstrap.servers": servers,
            "client.id": "tributary-airflow-listener",
            "enable.idempotence": True,
            "compression.type": "gzip",
            # Keys must land where other producers of Kafka put them.
            "partitioner": "murmur2_random",
            "message.timeout.ms": 300_000,
            "reconnect.backoff.ms": 500,
            "queue.buffering.max.messages": 10_000,
            "queue.buffering.max.kbytes": 32_768,
        }
        properties.update(json.loads(os.environ.get("TRIBUTARY_KAFKA_PROPERTIES") or "{}"))
        self.topic = os.environ.get("TRIBUTARY_AIRFLOW_TOPIC") or "airflow.events"
        self.patience = PATIENCE_SECONDS
        self.producer = Producer(properties, logger=kafka_log)
        # At the end of a main process and of a child of multiprocessing. Other forks end without a word: see `wait`.
        Finalize(None, self.wait, exitpriority=1)

    def send(self, event):
        self.producer.produce(self.topic, key=key(event), value=_encoded(event), on_delivery=self.delivered)
        self.producer.poll(0)

    def delivered(self, error, _message):
        if error is not None:
            _lost(str(error))

    def wait(self, seconds=PATIENCE_SECONDS):
        """Waits until everything is sent; not for long, and hardly at all once it was in vain."""
        start = time.monotonic()
        if self.producer.flush(min(seconds, self.patience)) == 0:
            self.patience = PATIENCE_SECONDS
        else:
            self.patience = max(0.0, self.patience - (time.monotonic() - start))


_lock = threading.Lock()
_channel = None
# Producers of the processes from which this one was forked. Their threads are not here, so they cannot be closed.
_inherited = []


def _after_fork():
    global _lock, _channel
    _lock = threading.Lock()
    _inherited.append(_channel)
    _channel = None


os.register_at_fork(after_in_child=_after_fork)


def _kafka():
    """The channel of this process; None if the plugin is switched off."""
    global _channel
    servers = os.environ.get("TRIBUTARY_KAFKA_BOOTSTRAP_SERVERS")
    if not servers:
        return None
    with _lock:
        if _channel is None:
            _channel = Channel(servers)
        return _channel


_lost_events = 0
_last_complaint = None


def _lost(reason, exc_info=False):
    """Says so, but not of every one: there may be thousands."""
    global _lost_events, _last_complaint
    _lost_events += 1
    now = time.monotonic()
    if _last_complaint is None or now - _last_complaint >= COMPLAINT_SECONDS:
        _last_complaint = now
        log.warning(
            "events for Tributary lost by this process: %d, lately: %s", _lost_events, reason, exc_info=exc_info
        )


def envelope(event_type: str, body: dict, emitted_at=None) -> dict:
    return {
        "event_type": event_type,
        "emitted_at": emitted_at or datetime.now(timezone.utc).isoformat(),
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


def _encoded(event: dict) -> bytes:
    """The event as JSON. What makes it too large for Kafka is left out, the largest first."""
    while True:
        value = json.dumps(event, default=str).encode()
        if len(value) <= EVENT_LIMIT:
            return value
        part = event.get("task_instance") or event.get("dag_run") or event.get("asset") or {}
        places = [(holder, name) for holder in (part, part.get("task"), part.get("dag")) if holder for name in holder]
        places = [(holder, name) for holder, name in places if isinstance(holder[name], (dict, list))]
        places = [(holder, name) for holder, name in places if name not in ("task", "dag")]
        if not places:
            return value
        holder, name = max(places, key=lambda place: len(json.dumps(place[0][place[1]], default=str)))
        del holder[name]


def _send(event_type: str, make_body, wait=0.0, emitted_at=None):
    """Never raises: a task must not fail because nobody listens."""
    try:
        channel = _kafka()
        if channel is None:
            return
        channel.send(envelope(event_type, make_body(), emitted_at))
        if wait:
            channel.wait(wait)
    except Exception as error:
        _lost(f"{event_type}: {type(error).__name__}", exc_info=True)


def _send_task(event_type, previous_state, task_instance, error=None):
    def body():
        found = {"previous_state": _plain(previous_state), "task_instance": _task_instance(task_instance)}
        if error is not None:
            found["error"] = _error(error)
        return found

    # A worker's process may end right after the hook. In Airflow 3 services speak of records of the database: when a
    # task was lost, or when somebody sets a state by hand.
    is_service = VERSION >= (3, 0) and type(task_instance).__name__ == "TaskInstance"
    seconds = START_SECONDS if event_type.endswith(".running") else PATIENCE_SECONDS
    _send(event_type, body, 0.0 if is_service else seconds)


def _send_dag_run(event_type, dag_run, msg):
    _send(event_type, lambda: {"dag_run": _dag_run(dag_run), "msg": _redacted(_plain(msg))})


def _told_at(state, ti):
    """As of when a state counts that a hook may have told too: its end. But of a failure the hook knew the error, and
    the end that the database has may be seconds later than that hook: it counts as of the beginning, before any hook.
    """
    begin, end = _get(ti, "start_date"), _get(ti, "end_date")
    return _plain((begin if state == "failed" else end) or begin or end)


def _send_untold(dag_run):
    """Tells of what no hook may have told, and never hides what one said."""
    try:
        if _kafka() is None:
            return
        for state, ti, task in _untold(dag_run):
            _send(
                f"task_instance.{state}",
                lambda ti=ti, task=task: {"task_instance": _task_instance(ti, dag_run, task)},
                emitted_at=_told_at(state, ti),
            )
    except Exception as error:
        _lost(f"the end of a DAG run: {type(error).__name__}", exc_info=True)


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
            _send_dag_run("dag_run.running", dag_run, msg)

        @hookimpl
        def on_dag_run_success(self, dag_run, msg):
            _send_dag_run("dag_run.success", dag_run, msg)
            _send_untold(dag_run)

        @hookimpl
        def on_dag_run_failed(self, dag_run, msg):
            _send_dag_run("dag_run.failed", dag_run, msg)
            _send_untold(dag_run)

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
