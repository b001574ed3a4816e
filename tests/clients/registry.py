"""confluent-kafka's registry client and Avro serdes against our registry: what its users call, with what they rely on."""

import json
import struct

from confluent_kafka.schema_registry import (
    ConfigCompatibilityLevel,
    Schema,
    SchemaReference,
    ServerConfig,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer

from shared import client, fails, value_of


def record(name, *fields):
    return json.dumps({"type": "record", "name": name, "namespace": "shop", "fields": list(fields)})


ID = {"name": "id", "type": "long"}
NOTE = {"name": "note", "type": ["null", "string"], "default": None}
V1 = record("Order", ID)
V2 = record("Order", ID, NOTE)
BROKEN = record("Order", ID, {"name": "amount", "type": "double"})

# Automatic registration, framing, and reading by the writer's schema.
serialize = AvroSerializer(client(), V1)
old = serialize({"id": 7}, value_of("py.orders"))
magic, schema_id = struct.unpack(">bI", old[:5])
assert magic == 0 and old[5:] == b"\x0e", old
assert client().get_schema(schema_id).schema_str == client().get_latest_version("py.orders-value").schema.schema_str
assert AvroDeserializer(client())(old, value_of("py.orders")) == {"id": 7}
assert AvroSerializer(client(), V1)({"id": 7}, value_of("py.orders")) == old, "the same schema keeps its id"

# A second version: old data read by the new schema.
assert client().test_compatibility("py.orders-value", Schema(V2, "AVRO"))
new = AvroSerializer(client(), V2)({"id": 8, "note": "gift"}, value_of("py.orders"))
assert client().get_versions("py.orders-value") == [1, 2]
assert AvroDeserializer(client(), V2)(old, value_of("py.orders")) == {"id": 7, "note": None}
assert AvroDeserializer(client(), V1)(new, value_of("py.orders")) == {"id": 8}

# The latest version, whatever the caller has.
conf = {"auto.register.schemas": False, "use.latest.version": True}
assert AvroSerializer(client(), V1, conf=conf)({"id": 8, "note": "gift"}, value_of("py.orders")) == new

# What is not compatible is refused, by the check and by the registration.
assert not client().test_compatibility("py.orders-value", Schema(BROKEN, "AVRO"))
fails(409, 40901, client().register_schema, "py.orders-value", Schema(BROKEN, "AVRO"))
fails(422, 42201, client().register_schema, "py.orders-value", Schema('{"type":"nothing"}', "AVRO"))

# Levels: of all, of one subject, and back to that of all.
assert client().get_compatibility() == "BACKWARD"
fails(404, 40408, client().get_compatibility, "py.orders-value")
client().set_compatibility("py.orders-value", "NONE")
assert client().get_compatibility("py.orders-value") == "NONE"
assert client().test_compatibility("py.orders-value", Schema(BROKEN, "AVRO"))
client().set_config("py.orders-value", ServerConfig(compatibility=ConfigCompatibilityLevel.FULL))
assert client().get_config("py.orders-value").compatibility_level == "FULL"
assert not client().test_compatibility("py.orders-value", Schema(BROKEN, "AVRO"))
fails(422, 42203, client().set_compatibility, "py.orders-value", "SOMETIMES")
client().delete_config("py.orders-value")

# References: a type registered once, used by name.
address = record("Address", {"name": "city", "type": "string"})
client().register_schema("py.address", Schema(address, "AVRO"))
reference = SchemaReference("shop.Address", "py.address", 1)
customer = Schema(record("Customer", ID, {"name": "home", "type": "shop.Address"}), "AVRO", [reference])
customer_id = client().register_schema("py.customers-value", customer)
assert client().get_latest_version("py.customers-value").schema.references == [reference]
assert client().get_referenced_by("py.address", 1) == [customer_id]
ada = {"id": 1, "home": {"city": "London"}}
framed = AvroSerializer(client(), customer)(ada, value_of("py.customers"))
assert struct.unpack(">I", framed[1:5]) == (customer_id,)
assert AvroDeserializer(client())(framed, value_of("py.customers")) == ada
fails(422, 42206, client().delete_version, "py.address", 1)
dangling = Schema(record("Lost", {"name": "home", "type": "shop.Nowhere"}), "AVRO", [SchemaReference("n", "no", 1)])
fails(422, 42201, client().register_schema, "py.lost-value", dangling)

# Looking things up, and misses.
found = client().lookup_schema("py.orders-value", Schema(V1, "AVRO"))
assert (found.version, found.schema_id) == (1, schema_id)
fails(404, 40403, client().lookup_schema, "py.orders-value", Schema(BROKEN, "AVRO"))
fails(404, 40401, client().get_latest_version, "py.nothing")
fails(404, 40402, client().get_version, "py.orders-value", 9)
fails(404, 40403, client().get_schema, 99_999)
assert {"py.address", "py.customers-value", "py.orders-value"} <= set(client().get_subjects())
assert client().get_schema_types()[0] == "AVRO" or "AVRO" in client().get_schema_types()

# Soft deletion keeps ids readable; permanent deletion only after it.
fails(404, 40407, client().delete_version, "py.orders-value", 1, permanent=True)
assert client().delete_version("py.orders-value", 1) == 1
assert client().get_versions("py.orders-value") == [2]
assert AvroDeserializer(client())(old, value_of("py.orders")) == {"id": 7}
assert client().delete_subject("py.customers-value") == [1]
assert "py.customers-value" not in client().get_subjects()
assert "py.customers-value" in client().get_subjects(deleted=True)
fails(404, 40401, client().get_versions, "py.customers-value")
assert client().delete_subject("py.customers-value", permanent=True) == [1]
assert "py.customers-value" not in client().get_subjects(deleted=True)
fails(404, 40403, client().get_schema, customer_id)
assert client().delete_version("py.address", 1) == 1
