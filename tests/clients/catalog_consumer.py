"""A downstream consumer: the committed records of catalog topics through confluent-kafka's AvroDeserializer, which
knows nothing but the registry. Prints one JSON object a record."""

import json
import os
import sys

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

registry = SchemaRegistryClient({"url": os.environ["REGISTRY_URL"]})
deserialize = AvroDeserializer(registry)
consumer = Consumer(
    {
        "bootstrap.servers": os.environ["KAFKA"],
        "group.id": "py-downstream",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
    }
)
for topic in sys.argv[1:]:
    partitions = consumer.list_topics(topic).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    ended = set()
    while len(ended) < len(partitions):
        message = consumer.poll(30)
        assert message is not None, f"{topic} does not end"
        if message.error():
            assert message.error().name() == "_PARTITION_EOF", message.error()
            ended.add(message.partition())
            continue
        value = deserialize(message.value(), SerializationContext(topic, MessageField.VALUE))
        print(json.dumps({"topic": topic, "key": message.key().decode(), "value": value}, default=str))
consumer.close()
