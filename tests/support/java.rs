//! Foreign clients in Java: jars from Maven Central with pinned checksums, fetched once, and programs run on them from
//! their source.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

/// Maven coordinates and SHA-256. Confluent publishes its client in a repository of its own; Flink's connector has it,
/// complete, under other package names.
const JARS: [(&str, &str, &str, &str); 2] = [
    (
        "org.apache.flink",
        "flink-sql-avro-confluent-registry",
        "1.20.0",
        "3aee7adef69dddf134980a37e79847798b976a57ada7dc43f4baa8a8aa3adccb",
    ),
    ("org.slf4j", "slf4j-api", "1.7.36", "d3ef575e3e4979678dc01bf1dcce51021493b4d11fb7f1be8ad982877c16a1c0"),
];

const HELP: &str = "the tests of foreign clients need a JDK 17 or newer and Maven (Debian: apt-get install \
                    openjdk-17-jdk-headless maven) and Maven Central";

/// The folder with the jars, each of which is what it was when it was pinned.
fn jars() -> PathBuf {
    let cache = super::site::cache();
    let folder = cache.join("java-clients");
    fs::create_dir_all(&folder).unwrap();
    // Test processes that run at the same time wait here for the first; the lock ends with the file handle.
    let lock = fs::File::create(cache.join("java-clients.lock")).unwrap();
    lock.lock().unwrap();
    for (group, name, version, sha256) in JARS {
        let jar = folder.join(format!("{name}-{version}.jar"));
        let is_right = || {
            let bytes = fs::read(&jar).unwrap_or_default();
            Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>() == sha256
        };
        if !is_right() {
            let mut maven = Command::new("mvn");
            maven.args(["-q", "-B", "dependency:copy", "-Dmdep.overWriteReleases=true"]);
            maven.arg(format!("-Dartifact={group}:{name}:{version}"));
            maven.arg(format!("-DoutputDirectory={}", folder.display()));
            super::succeed(&format!("fetch {name}"), HELP, &mut maven);
            assert!(is_right(), "{} does not have the SHA-256 it was pinned with", jar.display());
        }
    }
    folder
}

/// Runs a program of `tests/clients` from its source.
pub fn program(name: &str, variables: &[(&str, &str)]) {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients")).join(name);
    let mut command = Command::new("java");
    command.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]).arg(format!("{}/*", jars().display()));
    // Servers are on loopback, whatever proxy this machine goes out by.
    command.arg("-Dhttp.nonProxyHosts=127.0.0.1|localhost").arg(path).envs(variables.iter().copied());
    super::succeed(&format!("run {name}"), HELP, &mut command);
}
