"""confluent-kafka's registry client and serdes against a registry that asks who they are."""

import os

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer

from shared import fails, value_of

SCHEMA = '{"type": "record", "name": "Item", "fields": [{"name": "id", "type": "long"}]}'


def client(**more):
    conf = {"url": os.environ["REGISTRY_URL"], "ssl.ca.location": os.environ["CA"]}
    return SchemaRegistryClient({**conf, **{name.replace("_", "."): value for name, value in more.items()}})


def works_for(registry, topic):
    """A client that may write below this topic's name: all that serdes do."""
    data = AvroSerializer(registry, SCHEMA)({"id": 7}, value_of(topic))
    assert AvroDeserializer(registry)(data, value_of(topic)) == {"id": 7}
    assert registry.test_compatibility(f"{topic}-value", Schema(SCHEMA, "AVRO"))
    assert f"{topic}-value" in registry.get_subjects()


certificate = {"ssl_certificate_location": os.environ["CERTIFICATE"], "ssl_key_location": os.environ["KEY"]}
works_for(client(**certificate), "orders-py")
works_for(client(basic_auth_user_info="user:secret"), "users-py")

fails(403, 40301, client(**certificate).register_schema, "users-py-value", Schema(SCHEMA, "AVRO"))
fails(403, 40301, client(basic_auth_user_info="user:secret").get_latest_version, "orders-py-value")
fails(401, 401, client(basic_auth_user_info="user:wrong").get_subjects)
fails(401, 401, client().get_subjects)
assert "orders-py-value" not in client(basic_auth_user_info="user:secret").get_subjects()
