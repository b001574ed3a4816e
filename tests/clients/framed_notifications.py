"""A metastore listener that writes Avro: recorded notifications, framed under the registered schema; then one record
under an id that the registry does not know, and one cut off within its datum."""

import gzip
import json
import os
import struct
import sys

from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

TOPIC = "hms.notifications"
registry = SchemaRegistryClient({"url": os.environ["REGISTRY_URL"]})
latest = registry.get_latest_version(f"{TOPIC}-value")
conf = {"auto.register.schemas": False, "use.latest.version": True}
serialize = AvroSerializer(registry, latest.schema, conf=conf)
context = SerializationContext(TOPIC, MessageField.VALUE)

errors = []
producer = Producer({"bootstrap.servers": os.environ["KAFKA"], "enable.idempotence": True})


def send(key, value):
    producer.produce(TOPIC, key=key, value=value, on_delivery=lambda error, _: error and errors.append(error))


with gzip.open(sys.argv[1], "rt") as lines:
    notifications = [json.loads(line) for _, line in zip(range(int(sys.argv[2])), lines)]
for event in notifications:
    send(f"{event['dbName']}.{event['tableName']}", serialize(event, context))
framed = serialize(notifications[0], context)
send("unknown", framed[:1] + struct.pack(">I", 987_654) + framed[5:])
send("cut", framed[:20])
producer.flush(30)
assert not errors and len(producer) == 0, errors
