//! Values of the layers by their kinds: what is wrong with one is kept, with who said it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use toml::Value;

use super::keys::Kind;
use super::layers::{Layers, Said, SettingPath, key_of};
use super::settings::Stage;
use super::{Problem, value};

/// Reads typed values out of the layers and collects what is wrong.
pub(super) struct Reader {
    pub(super) layers: Layers,
    pub(super) problems: Vec<Problem>,
}

impl Reader {
    pub(super) fn said(&self, path: &str) -> Option<(SettingPath, Said)> {
        let path = SettingPath::dotted(path);
        self.layers.said.get(&path).map(|said| (path, said.clone()))
    }

    /// Parses a value; an error becomes a problem with the value's origin.
    pub(super) fn parsed<T>(&mut self, path: &str, parse: impl Fn(&Value) -> Result<T, String>) -> Option<T> {
        let (path, said) = self.said(path)?;
        match parse(&said.value) {
            Ok(value) => Some(value),
            Err(message) => {
                self.problems.push(Problem { path: Some(path), origin: Some(said.origin), message });
                None
            }
        }
    }

    pub(super) fn text(&mut self, path: &str) -> Option<String> {
        self.parsed(path, plain_text)
    }

    pub(super) fn duration(&mut self, path: &str) -> Option<Duration> {
        self.parsed(path, |value| plain_text(value).and_then(|text| value::duration(&text)))
    }

    pub(super) fn bytes(&mut self, path: &str) -> Option<usize> {
        self.parsed(path, |value| plain_text(value).and_then(|text| value::bytes(&text)))
    }

    pub(super) fn count(&mut self, path: &str) -> Option<usize> {
        self.parsed(path, |value| {
            let text = plain_text(value)?;
            let count = text.replace('_', "").parse::<u32>().ok().filter(|count| *count > 0);
            count.map(|count| count as usize).ok_or_else(|| format!("{text:?} is no whole number above 0"))
        })
    }

    pub(super) fn count_up_to(&mut self, path: &str, most: usize) -> Option<usize> {
        self.parsed(path, |value| {
            let text = plain_text(value)?;
            let count = text.replace('_', "").parse::<usize>().ok().filter(|count| (1..=most).contains(count));
            count.ok_or_else(|| format!("{text:?} is no whole number from 1 to {most}"))
        })
    }

    pub(super) fn listen(&mut self, path: &str) -> Option<String> {
        self.parsed(path, |value| plain_text(value).and_then(|text| value::listen(&text)))
    }

    pub(super) fn url(&mut self, path: &str) -> Option<String> {
        self.parsed(path, |value| plain_text(value).and_then(|text| value::http_url(&text)))
    }

    /// Two files that are of use only together.
    pub(super) fn pair(&mut self, one: &str, other: &str) -> Option<(PathBuf, PathBuf)> {
        match (self.text(one), self.text(other)) {
            (Some(one), Some(other)) => Some((PathBuf::from(one), PathBuf::from(other))),
            (Some(_), None) => {
                self.complain(one, &format!("it is of no use without {other}"));
                None
            }
            (None, Some(_)) => {
                self.complain(other, &format!("it is of no use without {one}"));
                None
            }
            (None, None) => None,
        }
    }

    /// A problem of a setting that was said.
    pub(super) fn complain(&mut self, path: &str, message: &str) {
        let origin = self.said(path).map(|(_, said)| said.origin);
        self.problems.push(Problem::new(Some(SettingPath::dotted(path)), origin, message));
    }

    pub(super) fn list<T: for<'de> Deserialize<'de>>(&mut self, path: &str) -> Option<Vec<T>> {
        let told = |problem: &Problem| {
            problem
                .path
                .as_ref()
                .is_some_and(|told| told.0.len() > 1 && told.0.first().is_some_and(|name| name == path))
        };
        if self.problems.iter().any(told) {
            return None;
        }
        self.parsed(path, |value| value.clone().try_into().map_err(|error: toml::de::Error| error.message().to_owned()))
    }

    /// A secret, from itself or from the file that its `_file` form names.
    pub(super) fn secret(&mut self, path: &str) -> Option<SecretString> {
        let file = format!("{path}_file");
        let direct = self.parsed(path, |value| match value {
            Value::String(text) if !text.is_empty() => Ok(SecretString::from(text.clone())),
            _ => Err("it must be text that is not empty".to_owned()),
        });
        let read = self.parsed(&file, |value| read_secret(&plain_text(value)?));
        if direct.is_some()
            && let Some((path, said)) = self.said(&file)
        {
            let message = "the secret is given twice, directly and as a file; keep one".to_owned();
            self.problems.push(Problem { path: Some(path), origin: Some(said.origin), message });
        }
        direct.or(read)
    }

    pub(super) fn properties(&mut self) -> BTreeMap<String, String> {
        let mut properties = BTreeMap::new();
        for (path, said) in self.layers.said.clone() {
            let [section, kind, name] = path.0.as_slice() else { continue };
            if section != "kafka" {
                continue;
            }
            let value = match kind.as_str() {
                "properties" => plain_text(&said.value),
                "properties_file" => plain_text(&said.value)
                    .and_then(|file| read_secret(&file))
                    .map(|secret| secret.expose_secret().to_owned()),
                _ => continue,
            };
            let twice = properties.contains_key(name);
            match value {
                Ok(value) if !twice => {
                    properties.insert(name.clone(), value);
                }
                Ok(_) => self.problems.push(Problem {
                    path: Some(path),
                    origin: Some(said.origin),
                    message: "the property is given twice, directly and as a file; keep one".to_owned(),
                }),
                Err(message) => self.problems.push(Problem { path: Some(path), origin: Some(said.origin), message }),
            }
        }
        properties
    }

    pub(super) fn stages(&mut self) -> BTreeMap<String, Stage> {
        let paths: Vec<SettingPath> = self.layers.said.keys().cloned().collect();
        let names = paths.into_iter().filter_map(|path| match path.0.as_slice() {
            [stages, name, _] if stages == "stages" => Some(name.clone()),
            _ => None,
        });
        let mut stages = BTreeMap::new();
        for name in names.collect::<std::collections::BTreeSet<_>>() {
            let default = Stage::of(&name);
            let stage = Stage {
                tasks: self.count(&format!("stages.{name}.tasks")).unwrap_or(default.tasks),
                batch_records: self.count(&format!("stages.{name}.batch_records")).unwrap_or(default.batch_records),
                batch_bytes: self.bytes(&format!("stages.{name}.batch_bytes")).unwrap_or(default.batch_bytes),
                batch_delay: self.duration(&format!("stages.{name}.batch_delay")).unwrap_or(default.batch_delay),
            };
            stages.insert(name, stage);
        }
        stages
    }

    pub(super) fn switch(&mut self, path: &str) -> Option<bool> {
        self.parsed(path, |value| match plain_text(value)?.as_str() {
            "true" | "yes" => Ok(true),
            "false" | "no" => Ok(false),
            other => Err(format!("{other:?} is neither true nor false")),
        })
    }

    pub(super) fn database_url(&mut self) -> Option<SecretString> {
        let url = self.secret("database.url");
        let password = self.secret("database.password");
        let url = url?;
        let (path, said) = self.said("database.url").or_else(|| self.said("database.url_file"))?;
        if let Err(message) = value::database_url(url.expose_secret()) {
            self.problems.push(Problem { path: Some(path), origin: Some(said.origin), message });
            return None;
        }
        let Some(password) = password else { return Some(url) };
        match value::with_password(url.expose_secret(), password.expose_secret()) {
            Some(url) => Some(SecretString::from(url)),
            None => {
                let message = "a password is set, but the URL has one already or names no user";
                self.problems.push(Problem::new(Some(path), Some(said.origin), message));
                None
            }
        }
    }
}

pub(super) fn plain_text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) if text.trim().is_empty() => Err("it must not be empty".to_owned()),
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(switch) => Ok(switch.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => Err("it must be text or a number".to_owned()),
    }
}

fn read_secret(file: &str) -> Result<SecretString, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read the secret from {file}: {error}"))?;
    let secret = text.trim_end_matches(['\n', '\r']);
    if secret.is_empty() { Err(format!("the secret file {file} is empty")) } else { Ok(SecretString::from(secret)) }
}

/// Whether a librdkafka property must not be shown.
fn is_secret_property(name: &str) -> bool {
    ["password", "secret", "pem", "token", "oauthbearer.config", "jaas"].iter().any(|word| name.contains(word))
}

/// A value for people: without secrets.
pub(super) fn shown(path: &SettingPath, said: &Said) -> String {
    let text = match &said.value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match path.0.as_slice() {
        [section, kind, name] if section == "kafka" && kind == "properties" && is_secret_property(name) => {
            "***".to_owned()
        }
        _ => match key_of(path).map(|key| key.kind) {
            Some(Kind::Secret) => "***".to_owned(),
            Some(Kind::SecretUrl | Kind::Url) => value::without_password(&text),
            _ => text,
        },
    }
}
