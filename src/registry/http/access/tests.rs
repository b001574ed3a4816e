//! Prefixes, access files, certificates.

use std::path::Path;

use secrecy::SecretString;

use super::*;

/// Of "secret", at the smallest cost.
const SECRET: &str = "$argon2id$v=19$m=64,t=1,p=1$eAuoPCPsh+WAiq2E7NY9pA$PKRBwS61RWCJM8YVt+9abOLVFtbsDjVoIijy+JDxCX0";

fn covers(prefix: &str, subject: &str) -> bool {
    Prefix::parse(prefix).unwrap().covers(&Subject::from_stored(subject))
}

#[test]
fn a_prefix_stays_in_its_context() {
    for (prefix, subject, is_covered) in [
        ("orders-", "orders-value", true),
        ("orders-", "orders", false),
        ("orders-", ":.c:orders-value", false),
        (":.:orders-", "orders-value", true),
        (":.:", "orders-value", true),
        (":.:", ":.c:orders-value", false),
        (":.c:", ":.c:orders-value", true),
        (":.c:", ":.c:", true),
        (":.c:", ":.cd:orders-value", false),
        (":.c:orders-", ":.c:orders-value", true),
        (":.c:orders-", ":.c:", false),
        (":.c:", "orders-value", false),
        ("", "orders-value", true),
        ("", ":.c:orders-value", true),
        ("", "", true),
        ("", GLOBAL_CONTEXT, true),
        // Settings that reach into other contexts are those of the empty prefix alone.
        (":.:", "", false),
        (":.:", GLOBAL_CONTEXT, false),
        // A name of the default context that would come back from the topic as one of another context.
        (":.:", ":.::.c:orders-value", false),
        (":.c:", ":.::.c:orders-value", true),
    ] {
        assert_eq!(covers(prefix, subject), is_covered, "{prefix:?} {subject:?}");
    }
    for wrong in [":", ":.", ":.c", ":c:", ":*:", ":.::", ":.::.c:", GLOBAL_CONTEXT, ":.__GLOBAL:s"] {
        assert!(Prefix::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn writing_includes_what_its_answers_show() {
    for (given, asked, is_included) in [
        (Operation::Write, Operation::Read, true),
        (Operation::Write, Operation::Compatibility, true),
        (Operation::Write, Operation::Delete, false),
        (Operation::Write, Operation::Config, false),
        (Operation::Config, Operation::Read, false),
        (Operation::Delete, Operation::Read, false),
        (Operation::Read, Operation::Write, false),
        (Operation::Compatibility, Operation::Read, false),
    ] {
        assert_eq!(given.includes(asked), is_included, "{given} {asked}");
    }
}

fn problems(text: &str) -> Vec<String> {
    match parse(Path::new("a.toml"), text) {
        Err(AccessError::Wrong { problems }) => problems,
        other => panic!("{other:?}"),
    }
}

#[test]
fn errors_name_their_place_and_show_no_hash() {
    let text = format!(
        "[[principals]]\nname = \"a\"\npassword = \"hunter2\"\n\n\
         [[principals]]\nname = \"a\"\ntokens = [\"sha256:hunter2\"]\n\n\
         [[principals]]\nname = \"b c\"\npassword = \"{SECRET}\"\n\n\
         [[principals]]\nname = \"d\"\n\n\
         [[principals]]\nname = \"anonymous\"\npassword = \"{SECRET}\"\n\n\
         [[principals]]\nname = \"e\"\ncertificates = [\"orders\",\n  \"ip:1.2.3\"]\n\
         permissions = [{{ prefix = \":.c\", allow = [\"read\", \"admin\"] }}]\n\n\
         [[principals]]\nname = \"f\"\npassword = \"$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0\"\n"
    );
    let found = problems(&text);
    let expected = [
        "a.toml:3: password of \"a\": it is no PHC string",
        "a.toml:6: principal \"a\" is listed twice",
        "a.toml:7: a token of \"a\": it is no \"sha256:\"",
        "a.toml:10: \"b c\" is no name of a principal",
        "a.toml:14: principal \"d\" has no password, token or certificate",
        "a.toml:17: anonymous is who brings no credentials",
        "a.toml:22: \"orders\" names no certificate",
        "a.toml:23: \"1.2.3\" is no IP address",
        "a.toml:24: \"admin\" is none of read, write, delete, compatibility, config",
        "a.toml:24: prefix \":.c\" names no context",
        "a.toml:28: password of \"f\": it is no Argon2id hash",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
        assert!(!found.contains("hunter2") && !found.contains("c2FsdHNhbHQ"), "{found}");
    }
    let unknown = problems("[[principals]]\nname = \"a\"\npasword = \"hunter2\"\n");
    assert!(unknown[0].starts_with("a.toml:3: unknown field `pasword`"), "{unknown:?}");
    assert!(!unknown[0].contains("hunter2"), "{unknown:?}");
    let missing = read(Path::new("/nowhere/a.toml")).unwrap_err().to_string();
    assert_eq!(missing, "cannot read the access file /nowhere/a.toml");
}

#[test]
fn the_documented_file_is_right() {
    let text = include_str!("../../../../config/access.toml");
    let access = parse(Path::new("access.toml"), text).unwrap();
    let admin = access.named("admin").unwrap();
    assert!(admin.may(Operation::Config, &Subject::from_stored("")));
    assert!(access.anonymous().is_none());
}

#[tokio::test]
async fn passwords_and_tokens() {
    let (password, token) = (SecretString::from("pässword"), SecretString::from("a-token"));
    let (hash, digest) = (hash_password(&password).unwrap(), hash_token(&token));
    // sha256sum of "a-token".
    assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
    let text = format!(
        "[[principals]]\nname = \"a\"\npassword = \"{hash}\"\n[[principals]]\nname = \"b\"\ntokens = [\"{digest}\"]\n\
         [[principals]]\nname = \"anonymous\"\n"
    );
    let access = parse(Path::new("a.toml"), &text).unwrap();
    let name = |found: Option<Arc<Principal>>| found.map(|principal| principal.name().to_owned());
    let known = |credentials: &Credentials| match access.known(credentials) {
        Known::Is(principal) => principal.name().to_owned(),
        other => format!("{other:?}"),
    };
    let login = Credentials::Password { name: "a".to_owned(), password: password.clone() };
    assert_eq!(known(&login), "Unknown");
    assert_eq!(name(access.verified("a", &password).await).as_deref(), Some("a"));
    assert_eq!(known(&login), "a", "remembered");
    for (user, password) in [("a", "password"), ("a", ""), ("b", "pässword"), ("anonymous", ""), ("nobody", "pässword")]
    {
        assert!(access.verified(user, &SecretString::from(password)).await.is_none(), "{user}");
        let login = Credentials::Password { name: user.to_owned(), password: SecretString::from(password) };
        assert_eq!(known(&login), "Unknown", "{user}");
    }
    assert_eq!(known(&Credentials::Token(token)), "b");
    assert_eq!(known(&Credentials::Token(SecretString::from("A-token"))), "Refused");
    // The digest itself opens nothing.
    assert_eq!(known(&Credentials::Token(SecretString::from(digest))), "Refused");
}

/// A certificate for a client, self-signed.
fn certificate(subject: &[(rcgen::DnType, &str)], alternatives: Vec<rcgen::SanType>) -> PeerNames {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in subject {
        params.distinguished_name.push(kind.clone(), *value);
    }
    params.subject_alt_names = alternatives;
    let key = rcgen::KeyPair::generate().unwrap();
    PeerNames::of_der(params.self_signed(&key).unwrap().der()).unwrap()
}

#[test]
fn certificates_are_known_by_their_names() {
    use rcgen::{DnType, SanType};
    let subject = [(DnType::OrganizationName, "Example, Inc."), (DnType::CommonName, "orders")];
    let alternatives = vec![
        SanType::DnsName("orders.example".try_into().unwrap()),
        SanType::URI("spiffe://example/orders".try_into().unwrap()),
        SanType::Rfc822Name("orders@example.org".try_into().unwrap()),
        SanType::IpAddress("10.0.0.1".parse().unwrap()),
    ];
    let names = certificate(&subject, alternatives);
    for (rule, fits) in [
        ("cn:orders", true),
        ("cn:Orders", false),
        ("cn:order", false),
        ("dn:CN=orders,O=Example\\, Inc.", true),
        ("dn:O=Example\\, Inc.,CN=orders", true),
        ("dn:O=Example\\, Inc., cn=orders", true),
        ("dn:CN=orders", false),
        ("dn:CN=orders,O=Example\\, Inc.,C=DE", false),
        ("dns:ORDERS.example", true),
        ("dns:example", false),
        ("uri:spiffe://example/orders", true),
        ("uri:spiffe://example", false),
        ("email:orders@example.org", true),
        ("ip:10.0.0.1", true),
        ("ip:10.0.0.2", false),
    ] {
        assert_eq!(CertificateRule::parse(rule).unwrap().fits(&names), fits, "{rule}");
    }
    for wrong in ["orders", "cn:", "dn:orders", "dn:CN=a,", "san:a", "ip:a"] {
        assert!(CertificateRule::parse(wrong).is_err(), "{wrong}");
    }
    assert!(PeerNames::of_der(b"no certificate").is_none());
}
