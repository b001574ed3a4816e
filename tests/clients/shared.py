"""What the scripts against our registry share."""

import os

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext


def client():
    """A client without anything cached."""
    return SchemaRegistryClient({"url": os.environ["REGISTRY_URL"]})


def fails(status, code, call, *args, **kwargs):
    """The call is refused with this HTTP status and this code of the registry."""
    try:
        answer = call(*args, **kwargs)
    except SchemaRegistryError as error:
        assert (error.http_status_code, error.error_code) == (status, code), error
        return
    raise AssertionError(f"{call.__name__}{args} answers {answer} instead of {code}")


def value_of(topic):
    """A value of a topic, as serdes are told."""
    return SerializationContext(topic, MessageField.VALUE)
