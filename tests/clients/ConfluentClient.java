import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.ParsedSchema;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.avro.AvroSchema;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.CachedSchemaRegistryClient;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.SchemaMetadata;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.rest.RestService;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.rest.entities.Config;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.rest.entities.Metadata;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.rest.entities.Schema;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.rest.entities.SchemaReference;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.rest.entities.SubjectVersion;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.rest.exceptions.RestClientException;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericData;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericDatumReader;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericDatumWriter;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericRecord;
import org.apache.flink.avro.shaded.org.apache.avro.io.BinaryDecoder;
import org.apache.flink.avro.shaded.org.apache.avro.io.BinaryEncoder;
import org.apache.flink.avro.shaded.org.apache.avro.io.DecoderFactory;
import org.apache.flink.avro.shaded.org.apache.avro.io.EncoderFactory;
import org.apache.flink.formats.avro.registry.confluent.ConfluentSchemaRegistryCoder;

/** Confluent's Java client and Flink's Avro coder on it against our registry: what their users call and rely on. */
public final class ConfluentClient {
    static final String URL = System.getenv("REGISTRY_URL");
    static final String ID = "{\"name\":\"id\",\"type\":\"long\"}";
    static final String NOTE = "{\"name\":\"note\",\"type\":[\"null\",\"string\"],\"default\":null}";

    /** A client without anything cached. */
    static CachedSchemaRegistryClient client() {
        return new CachedSchemaRegistryClient(URL, 100);
    }

    static AvroSchema record(String name, String... fields) {
        return new AvroSchema("{\"type\":\"record\",\"name\":\"" + name + "\",\"namespace\":\"shop\",\"fields\":["
                + String.join(",", fields) + "]}");
    }

    static void equal(Object found, Object expected) {
        if (!expected.equals(found)) {
            throw new AssertionError("found " + found + ", expected " + expected);
        }
    }

    /** The call is refused with this HTTP status and this code of the registry. */
    static String fails(int status, int code, Callable<?> call) throws Exception {
        Object answer;
        try {
            answer = call.call();
        } catch (RestClientException error) {
            equal(List.of(error.getStatus(), error.getErrorCode()), List.of(status, code));
            return error.getMessage();
        }
        throw new AssertionError("answers " + answer + " instead of " + code);
    }

    public static void main(String[] args) throws Exception {
        AvroSchema first = record("Payment", ID);
        AvroSchema second = record("Payment", ID, NOTE);
        AvroSchema broken = record("Payment", ID, "{\"name\":\"amount\",\"type\":\"double\"}");
        registers(first, second);
        checks(first, second, broken);
        looksUp(first, broken);
        refers();
        hasModes();
        serializes();
        deletes(first);
        knowsContexts(first);
        System.out.println("ok");
    }

    static void registers(AvroSchema first, AvroSchema second) throws Exception {
        int id = client().register("java.payments-value", first);
        equal(client().register("java.payments-value", first), id);
        equal(client().register("java.payments-copy", first), id);
        int next = client().register("java.payments-value", second);
        if (next <= id) {
            throw new AssertionError("ids do not grow: " + next + " after " + id);
        }
        equal(client().registerWithResponse("java.payments-value", second, false).getId(), next);
        // Spelled otherwise: the client's normal form is found among what is there.
        AvroSchema spelled = new AvroSchema("{ \"namespace\": \"shop\", \"name\": \"Payment\", \"type\": \"record\","
                + "\"fields\": [{\"type\": {\"type\": \"long\"}, \"name\": \"id\"}]}");
        equal(client().register("java.payments-value", spelled, true), id);
        equal(client().getVersion("java.payments-value", spelled, true), 1);
        equal(client().getId("java.payments-value", spelled, true), id);
    }

    static void checks(AvroSchema first, AvroSchema second, AvroSchema broken) throws Exception {
        String subject = "java.payments-value";
        equal(client().testCompatibility(subject, second), true);
        equal(client().testCompatibility(subject, broken), false);
        equal(client().testCompatibilityVerbose(subject, second), List.of());
        List<String> messages = client().testCompatibilityVerbose(subject, broken);
        equal(messages.get(0).contains("errorType:'READER_FIELD_MISSING_DEFAULT_VALUE'"), true);
        equal(messages.get(0).contains("'amount'"), true);
        String refusal = fails(409, 40901, () -> client().register(subject, broken));
        equal(refusal.contains("READER_FIELD_MISSING_DEFAULT_VALUE"), true);
        fails(422, 42201, () -> new RestService(URL).registerSchema("{\"type\":\"nothing\"}", subject));

        equal(client().getCompatibility(null), "BACKWARD");
        fails(404, 40408, () -> client().getCompatibility(subject));
        equal(client().updateCompatibility(subject, "NONE"), "NONE");
        equal(client().getCompatibility(subject), "NONE");
        equal(client().testCompatibility(subject, broken), true);
        Config config = new Config("FULL");
        config.setNormalize(true);
        equal(client().updateConfig(subject, config).getCompatibilityLevel(), "FULL");
        equal(client().getConfig(subject).isNormalize(), true);
        equal(client().testCompatibility(subject, broken), false);
        fails(422, 42203, () -> client().updateCompatibility(subject, "SOMETIMES"));
        client().deleteConfig(subject);
        fails(404, 40408, () -> client().getConfig(subject));
        equal(client().testCompatibility("java.unknown", first), true);
    }

    static void looksUp(AvroSchema first, AvroSchema broken) throws Exception {
        String subject = "java.payments-value";
        int id = client().getId(subject, first);
        equal(client().getVersion(subject, first), 1);
        ParsedSchema parsed = client().getSchemaById(id);
        equal(parsed, first);
        equal(client().getSchemaBySubjectAndId(subject, id).canonicalString(), first.canonicalString());
        equal(client().getAllVersions(subject), List.of(1, 2));
        equal(new TreeSet<>(client().getAllSubjectsById(id)), Set.of(subject, "java.payments-copy"));
        equal(Set.copyOf(client().getAllVersionsById(id)),
                Set.of(new SubjectVersion(subject, 1), new SubjectVersion("java.payments-copy", 1)));
        SchemaMetadata latest = client().getLatestSchemaMetadata(subject);
        equal(List.of(latest.getVersion(), latest.getSchemaType()), List.of(2, "AVRO"));
        SchemaMetadata old = client().getSchemaMetadata(subject, 1);
        equal(List.of(old.getId(), old.getSchema()), List.of(id, first.canonicalString()));
        equal(client().getByVersion(subject, 1, false).getId(), id);
        equal(new TreeSet<>(client().getAllSubjectsByPrefix("java.payments")), Set.of(subject, "java.payments-copy"));
        equal(client().getAllSubjects().contains(subject), true);
        equal(client().getSchemas("java.payments-value", false, true).size(), 1);
        equal(Set.copyOf(new RestService(URL).getSchemaTypes()), Set.of("AVRO", "JSON", "PROTOBUF"));

        AvroSchema owned = first.copy(new Metadata(null, Map.of("owner", "pay"), null), null);
        client().register("java.owned-value", owned);
        equal(client().getLatestWithMetadata("java.owned-value", Map.of("owner", "pay"), false).getVersion(), 1);
        fails(404, 40403, () -> client().getLatestWithMetadata("java.owned-value", Map.of("owner", "x"), false));

        fails(404, 40401, () -> client().getAllVersions("java.nothing"));
        fails(404, 40401, () -> client().getLatestSchemaMetadata("java.nothing"));
        fails(404, 40402, () -> client().getSchemaMetadata(subject, 9));
        fails(404, 40403, () -> client().getSchemaById(999_999));
        fails(404, 40403, () -> client().getId(subject, broken));
        fails(404, 40401, () -> client().getId("java.nothing", first));
        fails(422, 42202, () -> new RestService(URL).getVersion(subject, 0));
    }

    static void refers() throws Exception {
        AvroSchema address = record("Address", "{\"name\":\"city\",\"type\":\"string\"}");
        client().register("java.address", address);
        SchemaReference reference = new SchemaReference("shop.Address", "java.address", 1);
        String home = "{\"name\":\"home\",\"type\":\"shop.Address\"}";
        AvroSchema payer = new AvroSchema(
                "{\"type\":\"record\",\"name\":\"Payer\",\"namespace\":\"shop\",\"fields\":[" + home + "]}",
                List.of(reference), Map.of("shop.Address", address.canonicalString()), null);
        int id = client().register("java.payers-value", payer);
        ParsedSchema found = client().getSchemaById(id);
        equal(found.references(), List.of(reference));
        // The client fetches what is referred to and parses both.
        equal(((AvroSchema) found).rawSchema().getField("home").schema(), address.rawSchema());
        equal(new RestService(URL).getReferencedBy("java.address", 1), List.of(id));
        fails(422, 42206, () -> client().deleteSchemaVersion("java.address", "1"));
        Schema lost = new Schema("java.lost", 0, 0, "AVRO", List.of(new SchemaReference("shop.No", "java.no", 1)),
                "{\"type\":\"array\",\"items\":\"shop.No\"}");
        fails(422, 42201, () -> new RestService(URL).registerSchema(lost.getSchema(), "AVRO", lost.getReferences(),
                "java.lost"));
    }

    static void hasModes() throws Exception {
        String subject = "java.imported-value";
        AvroSchema schema = record("Imported", ID);
        equal(client().getMode(), "READWRITE");
        fails(404, 40409, () -> client().getMode(subject));
        fails(422, 42205, () -> client().register(subject, schema, 7, 70_007));
        equal(client().setMode("IMPORT", subject), "IMPORT");
        equal(client().getMode(subject), "IMPORT");
        equal(client().register(subject, schema, 7, 70_007), 70_007);
        equal(client().getAllVersions(subject), List.of(7));
        equal(client().getSchemaById(70_007), schema);
        equal(client().setMode("READONLY", subject), "READONLY");
        equal(client().register(subject, schema), 70_007);
        fails(422, 42205, () -> client().register(subject, record("Imported", ID, NOTE)));
        fails(422, 42205, () -> client().deleteSubject(subject));
        fails(422, 42205, () -> client().setMode("IMPORT", "java.payments-value"));
        fails(422, 42204, () -> client().setMode("SOMEHOW", subject));
        client().deleteMode(subject);
        fails(404, 40409, () -> client().getMode(subject));
        equal(client().register(subject, record("Imported", ID, NOTE)) > 70_007, true);
        equal(client().getAllVersions(subject), List.of(7, 8));
    }

    /** Flink's coder frames by the registry's ids and reads by the writer's schema. */
    static void serializes() throws Exception {
        AvroSchema schema = record("Event", ID, NOTE);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        new ConfluentSchemaRegistryCoder("java.events-value", client()).writeSchema(schema.rawSchema(), bytes);
        BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(bytes, null);
        GenericRecord event = new GenericData.Record(schema.rawSchema());
        event.put("id", 3L);
        event.put("note", "hi");
        new GenericDatumWriter<GenericRecord>(schema.rawSchema()).write(event, encoder);
        encoder.flush();

        byte[] framed = bytes.toByteArray();
        int id = client().getId("java.events-value", schema);
        equal(ByteBuffer.wrap(framed).get(), (byte) 0);
        equal(ByteBuffer.wrap(framed).getInt(1), id);
        byte[] body = {6, 2, 4, 'h', 'i'};
        equal(ByteBuffer.wrap(Arrays.copyOfRange(framed, 5, framed.length)), ByteBuffer.wrap(body));
        ByteArrayInputStream input = new ByteArrayInputStream(framed);
        var writer = new ConfluentSchemaRegistryCoder(client()).readSchema(input);
        BinaryDecoder decoder = DecoderFactory.get().directBinaryDecoder(input, null);
        GenericRecord read = new GenericDatumReader<GenericRecord>(writer, record("Event", ID).rawSchema())
                .read(null, decoder);
        equal(read.get("id"), 3L);
    }

    static void deletes(AvroSchema first) throws Exception {
        String subject = "java.payments-value";
        int id = client().getId(subject, first);
        fails(404, 40407, () -> client().deleteSchemaVersion(subject, "1", true));
        equal(client().deleteSchemaVersion(subject, "1"), 1);
        fails(404, 40406, () -> client().deleteSchemaVersion(subject, "1"));
        equal(client().getAllVersions(subject), List.of(2));
        equal(client().getAllVersions(subject, true), List.of(1, 2));
        equal(client().getSchemaById(id), first);
        equal(client().getSchemaMetadata(subject, 1, true).getId(), id);
        fails(404, 40402, () -> client().getSchemaMetadata(subject, 1));
        equal(client().deleteSchemaVersion(subject, "1", true), 1);
        equal(client().getAllVersions(subject, true), List.of(2));
        equal(client().deleteSchemaVersion(subject, "2"), 2);
        fails(404, 40401, () -> client().getAllVersions(subject));

        fails(404, 40405, () -> client().deleteSubject("java.payers-value", true));
        equal(client().deleteSubject("java.payers-value"), List.of(1));
        fails(404, 40404, () -> client().deleteSubject("java.payers-value"));
        equal(client().getAllSubjects().contains("java.payers-value"), false);
        equal(client().getAllSubjects(true).contains("java.payers-value"), true);
        equal(client().deleteSubject("java.payers-value", true), List.of(1));
        equal(client().getAllSubjects(true).contains("java.payers-value"), false);
        equal(client().deleteSchemaVersion("java.address", "1"), 1);
        fails(404, 40401, () -> client().deleteSubject("java.nothing"));
    }

    static void knowsContexts(AvroSchema first) throws Exception {
        String subject = ":.java:payments-value";
        equal(client().register(subject, first), 1);
        equal(client().getSchemaBySubjectAndId(subject, 1), first);
        equal(client().getLatestSchemaMetadata(subject).getVersion(), 1);
        equal(client().getAllSubjectsByPrefix(":.java:").contains(subject), true);
        equal(new RestService(URL).getAllContexts().contains(".java"), true);
    }
}
