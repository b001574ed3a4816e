//! Requests to register, one after the other. What is decided is applied, and must then be what the registry says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use tributary::registry::decide::{self, Command, CompatibilityCheck, Normalize, RegisterRequest, Reply};
use tributary::registry::format::{decode, encode};
use tributary::registry::snapshot::{Deleted, Snapshot};
use tributary::registry::types::{Metadata, RuleSet, SchemaReference, Subject, VersionSpec};
use tributary_fuzz::schemas::SEPARATOR;

/// The body of a request, with what its path and its parameters say.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Body {
    subject: String,
    normalize: bool,
    force: bool,
    schema: String,
    schema_type: Option<String>,
    references: Vec<SchemaReference>,
    metadata: Option<Metadata>,
    rule_set: Option<RuleSet>,
    version: Option<i32>,
    id: Option<i32>,
}

fuzz_target!(|input: &[u8]| {
    let mut snapshot = Snapshot::default();
    for (at, bytes) in (0..).zip(input.split(|byte| *byte == SEPARATOR)) {
        let Ok(body) = serde_json::from_slice::<Body>(bytes) else { continue };
        let Ok(subject) = Subject::parse(&body.subject) else { continue };
        register(&mut snapshot, &subject, &request(body), at);
    }
});

fn request(body: Body) -> RegisterRequest {
    RegisterRequest {
        schema: body.schema,
        schema_type: body.schema_type,
        references: body.references,
        metadata: body.metadata,
        rule_set: body.rule_set,
        version: body.version,
        id: body.id,
        normalize: if body.normalize { Normalize::Always } else { Normalize::Configured },
        compatibility: if body.force { CompatibilityCheck::Skipped } else { CompatibilityCheck::Enforced },
        ..RegisterRequest::default()
    }
}

fn register(snapshot: &mut Snapshot, subject: &Subject, request: &RegisterRequest, at: i64) {
    let command = Command::Register { subject: subject.clone(), request: Box::new(request.clone()) };
    let checked = decide::check_compatibility(snapshot, subject, Some(VersionSpec::Latest), request);
    if let Err(error) = checked {
        assert!(!error.to_string().is_empty());
    }
    let decision = match decide::decide(snapshot, &command) {
        Ok(decision) => decision,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    for record in decision.records {
        let (key, value) = encode(&record);
        assert_eq!(decode(&key, value.as_deref()).expect("what is written can be read"), record);
        snapshot.apply(record.clone(), at);
        assert!(snapshot.reflects(&record));
    }
    let Reply::Registered { subject, version, id } = decision.reply else { panic!("a registration answers as one") };
    let found = snapshot.version(&subject, VersionSpec::Number(version), Deleted::Hidden).expect("it is there now");
    assert_eq!(found.id, id);
    snapshot.parsed(found).expect("what is stored can be read");
    // With a version or an id of its own a request is refused the second time, and the latest may be another by then.
    let is_lasting = request.references.iter().all(|reference| reference.version != -1);
    if is_lasting && request.version.is_none() && request.id.is_none() && !request.schema.trim().is_empty() {
        let again = decide::decide(snapshot, &command).expect("what was taken is taken again");
        assert_eq!(again.records, [], "what is there is not written again");
        assert_eq!(again.reply, Reply::Registered { subject, version, id });
    }
}
