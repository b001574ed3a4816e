//! Names as producers spell them, and ids as people do.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tributary::model::id::{Identity, IdentityConfig, ReportedBy};

static IDENTITY: LazyLock<Identity> =
    LazyLock::new(|| Identity::new(IdentityConfig::default()).expect("the default configuration is valid"));

fuzz_target!(|input: (&str, &str)| {
    let (namespace, name) = input;
    let by = ReportedBy { job_namespace: Some(namespace), topic: "openlineage.events" };
    let id = IDENTITY.dataset(namespace, name, by).id;
    // An id stands for itself, however often it is asked for.
    assert_eq!(Some(&id), IDENTITY.canonical_id(id.as_str()).ok().as_ref());
    let _ = (id.container(), id.platform(), id.display_name());
    if let Some(place) = IDENTITY.location(name, "hms.notifications") {
        assert_eq!(Some(&place), IDENTITY.canonical_id(place.as_str()).ok().as_ref());
    }
    if let Ok(asked) = IDENTITY.canonical_id(name) {
        assert_eq!(Some(&asked), IDENTITY.canonical_id(asked.as_str()).ok().as_ref());
    }
});
