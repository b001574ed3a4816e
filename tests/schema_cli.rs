//! `tributary schema` as a person runs it, against registries of this process over REST.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tributary::registry::log::MemoryLog;
use tributary::registry::rest::{Resource, RestClient};
use tributary::registry::tls::ClientTls;
use tributary::registry::{RegistryHandle, RegistryOptions, http};

use crate::support::site::BINARY;

const V1: &str = r#"{"type":"record","name":"Order","fields":[{"name":"id","type":"int"}]}"#;
const V2: &str = r#"{"type":"record","name":"Order","fields":[{"name":"id","type":"int"},{"name":"note","type":"string","default":""}]}"#;
const BAD: &str = r#"{"type":"record","name":"Order","fields":[{"name":"id","type":"int"},{"name":"n","type":"int"}]}"#;
const MONEY: &str =
    r#"{"type":"record","name":"Money","namespace":"org.acme","fields":[{"name":"cents","type":"long"}]}"#;
const BILL: &str = r#"{"type":"record","name":"Bill","fields":[{"name":"total","type":"org.acme.Money"}]}"#;

/// A registry in this process, and a folder for the files of the commands that ask it.
struct Site {
    _runtime: Runtime,
    address: String,
    folder: TempDir,
}

/// What a command wrote, and its exit code.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Site {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let handle = RegistryHandle::start(Arc::new(MemoryLog::default()), &RegistryOptions::default()).unwrap();
        runtime.spawn(async move { axum::serve(listener, http::router(handle)).await });
        Self { _runtime: runtime, address, folder: tempfile::tempdir().unwrap() }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn client(&self) -> RestClient {
        RestClient::new(&self.url(), None, &ClientTls::default()).unwrap()
    }

    fn put(&self, path: &[&str], body: &serde_json::Value) {
        self.client().put(&Resource::new(path), body).unwrap();
    }

    /// A file of this site.
    fn file(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(BINARY);
        // What the machine is set up with is not to be seen here.
        command.current_dir(self.folder.path()).env_remove("SCHEMA_REGISTRY_URL").env_remove("TRIBUTARY_CONFIG");
        command.env("NO_PROXY", "127.0.0.1").stdin(Stdio::null());
        command
    }

    /// `tributary schema …` against this registry.
    fn schema(&self, arguments: &[&str]) -> Said {
        said(self.command().arg("schema").args(arguments).args(["--url", &self.url()]))
    }

    /// As [`Self::schema`] for commands that have to succeed; what they wrote.
    fn done(&self, arguments: &[&str]) -> String {
        let Said { code, out, err } = self.schema(arguments);
        assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}: {out}");
        out
    }

    fn register(&self, subject: &str, text: &str, more: &[&str]) -> String {
        let file = self.file("schema.avsc", text);
        self.done(&[&["register", subject, &file], more].concat())
    }
}

fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    Said {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn schemas_are_registered_shown_and_compared() {
    let site = Site::start();
    assert_eq!(site.done(&["list"]), "no subjects\n");
    assert_eq!(site.register("orders-value", V1, &[]), "orders-value version 1 id 1\n");
    assert_eq!(site.register("orders-value", V2, &[]), "orders-value version 2 id 2\n");
    assert_eq!(site.register("orders-value", V2, &[]), "orders-value version 2 id 2\n", "it is there already");
    assert_eq!(site.register("a/b c", "\"int\"", &[]), "a/b c version 1 id 3\n");
    assert_eq!(
        site.done(&["list"]),
        "a/b c         version 1    id 3      AVRO\norders-value  version 2    id 2      AVRO\n"
    );
    assert_eq!(
        site.done(&["list", "--json", "--subject-prefix", "ord"]),
        "{\"deleted\":false,\"id\":2,\"schemaType\":\"AVRO\",\"subject\":\"orders-value\",\"version\":2}\n"
    );
    assert_eq!(site.done(&["get", "orders-value", "--version", "1"]), format!("{V1}\n"));
    assert_eq!(site.done(&["get", "orders-value"]), format!("{V2}\n"));
    assert_eq!(site.done(&["get", "--id", "1"]), format!("{V1}\n"));
    let whole: serde_json::Value = serde_json::from_str(&site.done(&["get", "orders-value", "--json"])).unwrap();
    assert_eq!((&whole["id"], &whole["version"], &whole["schema"]), (&json!(2), &json!(2), &json!(V2)));
    assert_eq!(site.done(&["get", "a/b c", "--pretty"]), "\"int\"\n");

    let diff = "--- orders-value version 1\n+++ orders-value version 2\n@@ -5,6 +5,11 @@\n     {\n       \"name\": \"id\",\n       \
                \"type\": \"int\"\n+    },\n+    {\n+      \"name\": \"note\",\n+      \"type\": \"string\",\n+      \"default\": \
                \"\"\n     }\n   ]\n }\n\norders-value version 2 reads data of orders-value version 1\norders-value version 1 \
                reads data of orders-value version 2\n";
    assert_eq!(site.done(&["diff", "orders-value", "1", "latest"]), diff);
    let bad = site.file("bad.avsc", BAD);
    let out = site.done(&["diff", "orders-value", "1", &format!("@{bad}")]);
    assert!(
        out.contains(&format!("\n{bad} does not read data of orders-value version 1\n  {{errorType:'READER_FIELD"))
    );
    assert!(out.ends_with(&format!("\norders-value version 1 reads data of {bad}\n")), "{out}");
    assert!(site.done(&["diff", "orders-value", "2", "2"]).starts_with("no difference\n\n"));

    let Said { code, err, .. } = site.schema(&["get", "orders-value", "--version", "9"]);
    assert_eq!(code, 64);
    assert!(err.starts_with("tributary: Version 9 not found. (error 40402 from GET http://127.0.0.1:"), "{err}");
    let Said { code, err, .. } = site.schema(&["register", "orders-value", &bad, "--version", "9"]);
    assert_eq!(code, 64, "{err}");
    assert!(err.contains("Version is not one more than previous version"), "{err}");
    let Said { code, err, .. } = site.schema(&["register", "orders-value", &bad]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("incompatible with an earlier schema"), "{err}");
}

#[test]
fn a_check_answers_by_its_exit_code() {
    let site = Site::start();
    site.register("orders-value", V1, &[]);
    let (good, bad) = (site.file("good.avsc", V2), site.file("bad.avsc", BAD));
    assert_eq!(site.done(&["check", "orders-value", &good]), "compatible\n");
    assert_eq!(site.done(&["check", "orders-value", &good, "--version", "1"]), "compatible\n");
    assert_eq!(site.done(&["check", "new-value", &bad]), "compatible\n", "a subject without versions takes all");
    assert_eq!(site.done(&["check", "new-value", &bad, "--version", "latest"]), "compatible\n");

    let Said { code, out, err } = site.schema(&["check", "orders-value", &bad]);
    assert_eq!(code, 1, "{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 4, "{out}");
    assert!(
        lines[0].starts_with("{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'n'"),
        "{out}"
    );
    assert_eq!(lines[1], "{oldSchemaVersion: 1}");
    assert_eq!(err, format!("tributary: {bad} is not compatible with orders-value\n"));

    let broken = site.file("broken.avsc", "{\"type\":");
    let unknown = site.file("schema.txt", V1);
    for (arguments, why) in [
        (["check", "orders-value", &broken, "--version=latest"], "Invalid schema"),
        (["check", "orders-value", "none.avsc", "--version=latest"], "none.avsc cannot be read"),
        (["check", "orders-value", &unknown, "--version=latest"], "give --type"),
        (["check", "orders-value", &good, "--version=7"], "Version 7 not found"),
        (["check", "orders-value", &good, "--set=kafka.partitions=x"], "kafka.partitions"),
    ] {
        let Said { code, out, err } = site.schema(&arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {err}");
        assert!(err.contains(why), "{arguments:?}: {err}");
    }
}

#[test]
fn a_registry_is_found_by_flag_by_environment_or_is_our_own() {
    let site = Site::start();
    site.register("s", "\"int\"", &[]);
    let url = site.url();
    let expected = "s  version 1    id 1      AVRO\n";
    assert_eq!(said(site.command().args(["schema", "--url", &url, "list"])).out, expected);
    assert_eq!(said(site.command().args(["schema", "list"]).env("SCHEMA_REGISTRY_URL", &url)).out, expected);
    let listen = format!("registry.listen={}", site.address);
    assert_eq!(said(site.command().args(["schema", "list", "--set", &listen])).out, expected);
    let two = format!("http://127.0.0.1:1,{url}");
    assert_eq!(said(site.command().args(["schema", "list", "--url", &two])).out, expected, "the first is away");

    let away = ["schema", "list", "--url", "http://127.0.0.1:1"];
    let Said { code, err, .. } = said(site.command().args(away).env("SCHEMA_REGISTRY_URL", &url));
    assert_eq!(code, 69, "{err}");
    for part in ["no answer from the schema registry at http://127.0.0.1:1", "--url", "SCHEMA_REGISTRY_URL", "refused"]
    {
        assert!(err.contains(part), "{part}: {err}");
    }
    let file = site.file("s.avsc", "\"int\"");
    let away = said(site.command().args(["schema", "check", "s", &file, "--url", "http://127.0.0.1:1"]));
    assert_eq!(away.code, 2, "{}", away.err);
    let wrong = said(site.command().args(["schema", "list", "--url", &format!("{url}/elsewhere")]));
    assert_eq!(wrong.code, 78, "{}", wrong.err);
    assert!(wrong.err.contains("is this a schema registry's URL?"), "{}", wrong.err);
    assert_eq!(said(site.command().args(["schema", "list", "--url", "registry:8081"])).code, 64);
}

/// A registry with something of everything.
fn full() -> Site {
    let site = Site::start();
    site.put(&["config"], &json!({"compatibility": "NONE"}));
    assert_eq!(site.register("money-value", MONEY, &[]), "money-value version 1 id 1\n");
    let reference = ["--reference", "org.acme.Money=money-value:1"];
    assert_eq!(site.register("bills-value", BILL, &reference), "bills-value version 1 id 2\n");
    assert_eq!(site.register("plain", "\"int\"", &[]), "plain version 1 id 3\n");
    assert_eq!(site.register("plain", "\"long\"", &[]), "plain version 2 id 4\n");
    assert_eq!(site.register("other", "\"long\"", &[]), "other version 1 id 4\n");
    assert_eq!(site.register(":.team:plain", "\"string\"", &[]), ":.team:plain version 1 id 1\n");
    assert_eq!(site.register("tagged", "\"bytes\"", &["--property", "owner=me"]), "tagged version 1 id 5\n");
    assert_eq!(site.register("gone", "\"float\"", &[]), "gone version 1 id 6\n");
    assert_eq!(site.done(&["delete", "gone"]), "gone version 1 deleted\n");
    assert_eq!(site.done(&["delete", "plain", "--version", "1"]), "plain version 1 deleted\n");
    site.put(&["config", "plain"], &json!({"compatibility": "FULL"}));
    site.put(&["config", ":.team:"], &json!({"compatibility": "FORWARD"}));
    site.put(&["mode", "other"], &json!({"mode": "READONLY"}));
    site
}

/// What an export of it is.
const EXPORT: &str = r#"{"kind":"config","config":{"compatibilityLevel":"NONE"}}
{"kind":"config","subject":":.team:","config":{"compatibilityLevel":"FORWARD"}}
{"kind":"config","subject":"plain","config":{"compatibilityLevel":"FULL"}}
{"kind":"mode","mode":"READWRITE"}
{"kind":"mode","subject":"other","mode":"READONLY"}
{"kind":"schema","subject":":.team:plain","version":1,"id":1,"schemaType":"AVRO","schema":"\"string\"","deleted":false}
{"kind":"schema","subject":"money-value","version":1,"id":1,"schemaType":"AVRO","schema":"{\"type\":\"record\",\"name\":\"Money\",\"namespace\":\"org.acme\",\"fields\":[{\"name\":\"cents\",\"type\":\"long\"}]}","deleted":false}
{"kind":"schema","subject":"bills-value","version":1,"id":2,"schemaType":"AVRO","references":[{"name":"org.acme.Money","subject":"money-value","version":1}],"schema":"{\"type\":\"record\",\"name\":\"Bill\",\"fields\":[{\"name\":\"total\",\"type\":\"org.acme.Money\"}]}","deleted":false}
{"kind":"schema","subject":"gone","version":1,"id":6,"schemaType":"AVRO","schema":"\"float\"","deleted":true}
{"kind":"schema","subject":"other","version":1,"id":4,"schemaType":"AVRO","schema":"\"long\"","deleted":false}
{"kind":"schema","subject":"plain","version":1,"id":3,"schemaType":"AVRO","schema":"\"int\"","deleted":true}
{"kind":"schema","subject":"plain","version":2,"id":4,"schemaType":"AVRO","schema":"\"long\"","deleted":false}
{"kind":"schema","subject":"tagged","version":1,"id":5,"schemaType":"AVRO","metadata":{"properties":{"owner":"me"}},"schema":"\"bytes\"","deleted":false}
"#;

#[test]
fn an_export_fills_another_registry_with_the_same() {
    let (one, two) = (full(), Site::start());
    assert_eq!(one.done(&["export"]), EXPORT);
    let file = one.file("all.jsonl", "");
    let url = one.url();
    assert_eq!(one.done(&["export", &file]), format!("8 versions and 5 settings from {url}\n"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), EXPORT);

    let dry = two.done(&["import", &file, "--dry-run"]);
    assert_eq!(dry, "8 versions would be registered, 0 are there already, 2 would be soft-deleted\n");
    assert_eq!(two.done(&["list", "--deleted"]), "no subjects\n", "nothing was done");
    assert_eq!(
        two.done(&["import", &file]),
        "8 versions registered, 0 were there already, 2 soft-deleted, 3 configurations and 2 modes set\n"
    );
    assert_eq!(two.done(&["export"]), EXPORT);
    assert_eq!(
        two.done(&["import", &file]),
        "0 versions registered, 8 were there already, 0 soft-deleted, 0 configurations and 0 modes set\n"
    );
    assert_eq!(two.register("new", "\"boolean\"", &[]), "new version 1 id 7\n", "ids go on after those that came");

    // The second registry has a subject now that the export has not.
    let Said { code, err, .. } = two.schema(&["import", &file]);
    assert_eq!(code, 64);
    assert!(err.contains("live versions that are not in the export (1, such as new version 1)"), "{err}");
    let later =
        one.file("later.jsonl", r#"{"kind":"schema","subject":"late","version":3,"id":90,"schema":"\"null\""}"#);
    assert_eq!(
        two.done(&["import", &later, "--into-existing"]),
        "1 versions registered, 0 were there already, 0 soft-deleted, 0 configurations and 0 modes set\n"
    );
    assert!(two.done(&["list"]).contains("late          version 3    id 90     AVRO\n"));
    assert_eq!(two.client().get(&Resource::new(&["mode"])).unwrap(), json!({"mode": "READWRITE"}));
}

#[test]
fn a_failed_import_says_where_and_goes_on_later() {
    let site = Site::start();
    let damaged = site.file("damaged.jsonl", "{\"kind\":\"mode\",\"mode\":\"READWRITE\"}\n{\"kind\":\"schema\"}\n");
    let Said { code, err, .. } = site.schema(&["import", &damaged]);
    assert_eq!(code, 64);
    assert!(err.starts_with(&format!("tributary: {damaged} line 2: this is no line of an export")), "{err}");

    let line = |subject: &str, id: i32, text: &str| {
        json!({"kind": "schema", "subject": subject, "version": 1, "id": id, "schema": text}).to_string() + "\n"
    };
    let (first, third) = (line("a", 1, "\"int\""), line("c", 3, "\"string\""));
    let wrong = site.file("wrong.jsonl", &[&first, &line("b", 2, "\"nothing\""), &third].map(String::as_str).concat());
    let Said { code, err, .. } = site.schema(&["import", &wrong]);
    assert_eq!(code, 64);
    assert!(err.starts_with(&format!("tributary: {wrong} line 2, b version 1: Invalid schema")), "{err}");
    let url = site.url();
    assert!(err.contains(&format!("-d '{{\"mode\":\"READWRITE\"}}' '{url}/mode'")), "{err}");
    assert_eq!(site.client().get(&Resource::new(&["mode"])).unwrap(), json!({"mode": "IMPORT"}));

    let mended = site.file("mended.jsonl", &[&first, &line("b", 2, "\"long\""), &third].map(String::as_str).concat());
    assert_eq!(
        site.done(&["import", &mended]),
        "2 versions registered, 1 were there already, 0 soft-deleted, 0 configurations and 0 modes set\n"
    );
    assert_eq!(site.client().get(&Resource::new(&["mode"])).unwrap(), json!({"mode": "READWRITE"}));
    let other = site.file("other.jsonl", &line("a", 8, "\"int\""));
    let Said { code, err, .. } = site.schema(&["import", &other, "--into-existing"]);
    assert_eq!(code, 64);
    assert!(err.contains("line 1: a version 1 has id 8 in the export and id 1 in the registry"), "{err}");
}

#[test]
fn deletions_are_soft_or_for_good() {
    let site = full();
    assert_eq!(site.done(&["delete", "plain"]), "plain version 2 deleted\n");
    assert!(site.done(&["list", "--deleted"]).contains("plain         version 2    id 4      AVRO  deleted\n"));
    assert_eq!(site.done(&["delete", "plain", "--permanent"]), "plain versions 1, 2 deleted for good\n");
    assert!(!site.done(&["list", "--deleted"]).contains("\nplain"));
    let latest = site.done(&["delete", "tagged", "--version", "latest", "--permanent"]);
    assert_eq!(latest, "tagged version 1 deleted for good\n");
    for (subject, why) in [("money-value", "references exist"), ("other", "read-only"), ("none", "not found")] {
        let Said { code, out, err } = site.schema(&["delete", subject]);
        assert_eq!((code, out.as_str()), (64, ""), "{subject}: {err}");
        assert!(err.contains(why), "{subject}: {err}");
    }
}
