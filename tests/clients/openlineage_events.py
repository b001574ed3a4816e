"""openlineage-python as jobs use it: one job reports over HTTP, the job that reads its output over Kafka."""

import os
from datetime import datetime, timezone

from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import column_lineage_dataset, schema_dataset
from openlineage.client.transport.http import HttpCompression, HttpConfig, HttpTransport
from openlineage.client.transport.kafka import KafkaConfig, KafkaTransport
from openlineage.client.uuid import generate_new_uuid

SHOP = "postgres://db.shop:5432"
LAKE = "s3://py-lake"
PRODUCER = "https://example.com/py-etl/1.0"


def columns(*names):
    fields = [schema_dataset.SchemaDatasetFacetFields(name=name, type="bigint") for name in names]
    return {"schema": schema_dataset.SchemaDatasetFacet(fields=fields)}


def from_column(namespace, name, column):
    source = column_lineage_dataset.InputField(namespace=namespace, name=name, field=column)
    fields = {"total": column_lineage_dataset.Fields(inputFields=[source])}
    return {"columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet(fields=fields)}


def report(transport, job, source, target):
    client = OpenLineageClient(transport=transport)
    run = Run(runId=str(generate_new_uuid()))
    for state in (RunState.START, RunState.COMPLETE):
        event = RunEvent(
            eventType=state,
            eventTime=datetime.now(timezone.utc).isoformat(),
            run=run,
            job=Job(namespace="py-etl", name=job),
            producer=PRODUCER,
            inputs=[source],
            outputs=[target],
        )
        client.emit(event)
    client.close()


orders = InputDataset(namespace=SHOP, name="shop.public.orders", facets=columns("id", "amount"))
daily = {"namespace": LAKE, "name": "daily/orders"}
total = {**columns("total"), **from_column(SHOP, "shop.public.orders", "amount")}
http = HttpTransport(HttpConfig(url=os.environ["API_URL"], compression=HttpCompression.GZIP))
report(http, "aggregate_orders", orders, OutputDataset(**daily, facets=total))

report_facets = {**columns("total"), **from_column(LAKE, "daily/orders", "total")}
kafka = KafkaTransport(KafkaConfig(config={"bootstrap.servers": os.environ["KAFKA"]}, topic="openlineage.events"))
report(
    kafka,
    "publish_report",
    InputDataset(**daily, facets=columns("total")),
    OutputDataset(namespace=SHOP, name="shop.public.report", facets=report_facets),
)
