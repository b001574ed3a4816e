//! Fetches jars by Maven coordinates with the machine's own `mvn`, once, into a cache folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::DevError;

/// One artifact with its runtime dependencies, or alone.
#[derive(Clone, Copy)]
pub(super) struct Artifact<'a> {
    pub group: &'a str,
    pub name: &'a str,
    pub version: &'a str,
    /// Without its dependencies.
    pub alone: bool,
}

/// Puts `artifacts` and their runtime dependencies into `cache/<folder>` and returns that folder. Several processes may ask
/// at once: one fetches, the others wait.
pub(super) fn fetch(cache: &Path, folder: &str, artifacts: &[Artifact<'_>]) -> Result<PathBuf, DevError> {
    let target = cache.join(folder);
    let done = target.join(".complete");
    fs::create_dir_all(&target).map_err(|e| DevError::io("create", &target, e))?;
    let lock_path = cache.join(format!("{folder}.lock"));
    let lock = File::create(&lock_path).map_err(|e| DevError::io("create", &lock_path, e))?;
    lock.lock().map_err(|e| DevError::io("lock", &lock_path, e))?;
    if done.exists() {
        return Ok(target);
    }
    let pom = target.join("pom.xml");
    fs::write(&pom, pom_text(artifacts)).map_err(|e| DevError::io("write", &pom, e))?;
    let output = Command::new("mvn")
        .args(["-q", "-B", "-f"])
        .arg(&pom)
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", target.display()))
        .output();
    match output {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(DevError::prerequisite("Maven (`mvn`)")),
        Err(error) => Err(DevError::io("run", Path::new("mvn"), error)),
        Ok(output) if !output.status.success() => Err(DevError::Maven {
            artifacts: artifacts.iter().map(|a| format!("{}:{}:{}", a.group, a.name, a.version)).collect(),
            output: String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        }),
        Ok(_) => {
            File::create(&done).map_err(|e| DevError::io("create", &done, e))?;
            Ok(target)
        }
    }
}

fn pom_text(artifacts: &[Artifact<'_>]) -> String {
    let dependencies: String = artifacts
        .iter()
        .map(|a| {
            let exclusions = match a.alone {
                true => {
                    "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>"
                }
                false => "",
            };
            format!(
                "    <dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version>{exclusions}\
                 </dependency>\n",
                a.group, a.name, a.version
            )
        })
        .collect();
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
         <groupId>tributary</groupId>\n  <artifactId>dev</artifactId>\n  <version>1</version>\n  <dependencies>\n{dependencies}  \
         </dependencies>\n</project>\n"
    )
}
