"""confluent-kafka's JSON Schema and Protobuf serdes against our registry."""

import json
import struct

from confluent_kafka.schema_registry import Schema, SchemaReference
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

from shared import client, fails, value_of

STRING = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
INT64 = descriptor_pb2.FieldDescriptorProto.TYPE_INT64
MESSAGE = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE


def to_dict(value, _):
    return value


def from_dict(value, _):
    return value


# JSON: automatic registration, framing, reading and validation by the schema that comes back.
order = json.dumps({
    "$schema": "http://json-schema.org/draft-07/schema#", "title": "Order", "type": "object",
    "properties": {"id": {"type": "integer"}, "note": {"type": "string"}}, "required": ["id"],
    "additionalProperties": False})
framed = JSONSerializer(order, client(), to_dict)({"id": 7}, value_of("py.json"))
magic, schema_id = struct.unpack(">bI", framed[:5])
assert magic == 0 and json.loads(framed[5:]) == {"id": 7}
registered = client().get_schema(schema_id)
assert registered.schema_type == "JSON" and json.loads(registered.schema_str) == json.loads(order)
assert JSONDeserializer(None, from_dict, client())(framed, value_of("py.json")) == {"id": 7}
assert JSONSerializer(order, client(), to_dict)({"id": 7}, value_of("py.json")) == framed, "the same schema, the same id"
narrower = json.loads(order)
narrower["required"].append("note")
assert not client().test_compatibility("py.json-value", Schema(json.dumps(narrower), "JSON"))
fails(409, 40901, client().register_schema, "py.json-value", Schema(json.dumps(narrower), "JSON"))
wider = json.loads(order)
wider["properties"]["gift"] = {"type": "boolean"}
assert client().test_compatibility("py.json-value", Schema(json.dumps(wider), "JSON"))
fails(422, 42201, client().register_schema, "py.json-value", Schema('{"type": "nothing"}', "JSON"))

# JSON: a reference that the client resolves by asking for it.
item = json.dumps({"type": "object", "properties": {"sku": {"type": "string"}}, "additionalProperties": False})
client().register_schema("py.item", Schema(item, "JSON"))
basket = Schema(
    json.dumps({"type": "object", "properties": {"item": {"$ref": "item.json"}}, "additionalProperties": False}),
    "JSON", [SchemaReference("item.json", "py.item", 1)])
basket_id = client().register_schema("py.basket-value", basket)
assert client().get_referenced_by("py.item", 1) == [basket_id]
framed = JSONSerializer(basket, client(), to_dict)({"item": {"sku": "a"}}, value_of("py.basket"))
assert struct.unpack(">I", framed[1:5]) == (basket_id,)
assert JSONDeserializer(basket, from_dict, client())(framed, value_of("py.basket")) == {"item": {"sku": "a"}}


def file_of(name, package, message, fields, dependencies=()):
    """A .proto file with one message of (name, number, type, type name) fields."""
    proto = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3")
    proto.dependency.extend(dependencies)
    declared = proto.message_type.add(name=message)
    for field, number, kind, type_name in fields:
        declared.field.add(name=field, number=number, type=kind, type_name=type_name,
                           label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL)
    return proto


def class_of(files, name):
    pool = descriptor_pool.DescriptorPool()
    for proto in files:
        pool.Add(proto)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


# Protobuf: the client registers files as descriptors, those that are imported first.
clock = descriptor_pb2.FileDescriptorProto()
timestamp_pb2.DESCRIPTOR.CopyToProto(clock)
money = file_of("shop/money.proto", "shop", "Money", [("cents", 1, INT64, None)])
sale_fields = [("id", 1, STRING, None), ("price", 2, MESSAGE, ".shop.Money"),
               ("at", 3, MESSAGE, ".google.protobuf.Timestamp")]
imports = ["shop/money.proto", "google/protobuf/timestamp.proto"]
sale = file_of("shop/sale.proto", "shop", "Sale", sale_fields, imports)
Sale = class_of([clock, money, sale], "shop.Sale")
sold = Sale(id="s-1")
sold.price.cents = 250
sold.at.seconds = 1_700_000_000
conf = {"use.deprecated.format": False}
framed = ProtobufSerializer(Sale, client(), conf)(sold, value_of("py.sales"))
(schema_id,) = struct.unpack(">I", framed[1:5])
registered = client().get_schema(schema_id)
assert registered.schema_type == "PROTOBUF" and "message Sale {" in registered.schema_str, registered.schema_str
# Files that every compiler knows are not registered.
assert [reference.name for reference in registered.references] == ["shop/money.proto"], registered.references
assert ProtobufDeserializer(Sale, conf)(framed, value_of("py.sales")) == sold
reader = ProtobufDeserializer(Sale, conf, client())
assert reader(framed, value_of("py.sales")) == sold
assert ProtobufSerializer(Sale, client(), conf)(sold, value_of("py.sales")) == framed, "the same file, the same id"

# Protobuf: the same file by hand, and changes of it.
text = registered.schema_str
assert client().register_schema("py.sales-value", Schema(text, "PROTOBUF", registered.references)) == schema_id
retyped = text.replace("string id = 1;", "int64 id = 1;")
assert retyped != text
assert not client().test_compatibility("py.sales-value", Schema(retyped, "PROTOBUF", registered.references))
fails(409, 40901, client().register_schema, "py.sales-value", Schema(retyped, "PROTOBUF", registered.references))
grown = text.replace("string id = 1;", "string id = 1;\n  string note = 9;")
assert client().test_compatibility("py.sales-value", Schema(grown, "PROTOBUF", registered.references))
fails(422, 42201, client().register_schema, "py.sales-value", Schema("message Sale { string id = 1 }", "PROTOBUF"))
assert set(client().get_schema_types()) == {"AVRO", "JSON", "PROTOBUF"}
