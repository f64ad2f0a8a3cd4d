//! The table `[nats]` of a platform's elias.toml.

use elias_names::{TenantId, TriggerName};
use elias_triggers::event::TypePattern;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Connections of each way, at most.
const WAYS_MAX: usize = 100;

/// A connection of a platform with a NATS server.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NatsConfig {
    /// The server: `nats://nats.example.com:4222`, or `tls://`.
    pub url: String,
    /// A file of credentials (JWT and NKey), relative to the configuration's folder.
    pub credentials_file: Option<PathBuf>,
    /// A PEM file of the authorities of the server's certificate, relative to the configuration's folder; TLS is then
    /// required.
    pub root_certificate: Option<PathBuf>,
    /// The subjects that are received.
    #[serde(default, rename = "in")]
    pub inbound: Vec<InboundConfig>,
    /// The events that are sent.
    #[serde(default, rename = "out")]
    pub outbound: Vec<OutboundConfig>,
}

/// A stream whose messages become events of a tenant.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct InboundConfig {
    /// The stream, which has to exist.
    pub stream: String,
    /// The durable pull consumer, which is made if it does not exist.
    pub consumer: String,
    /// The subjects of the messages, with wildcards; of a consumer that is made. All of the stream by default.
    #[serde(default)]
    pub filter: String,
    /// The tenant that gets the events.
    pub tenant: TenantId,
    /// The type of the events: `{subject}` and `{stream}` stand for those of the message.
    #[serde(default = "default_type", rename = "type")]
    pub event_type: String,
}

/// A tenant's events that are published.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OutboundConfig {
    /// The name, under which the platform remembers how far it has read.
    pub name: TriggerName,
    /// The tenant.
    pub tenant: TenantId,
    /// The type of the events, or a pattern: `*` is one part, `**` any number of parts.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The subject: `{type}` and `{tenant}` stand for those of the event.
    #[serde(default = "default_subject")]
    pub subject: String,
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nats.{0}")]
pub struct InvalidConfig(String);

fn default_type() -> String {
    "nats.{subject}".to_owned()
}

fn default_subject() -> String {
    "elias.{tenant}.{type}".to_owned()
}

impl NatsConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`InvalidConfig`] for the first that cannot be used.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        let invalid = |key: String, what: &str| Err(InvalidConfig(format!("{key} {what}")));
        for (key, count) in [("in", self.inbound.len()), ("out", self.outbound.len())] {
            if count > WAYS_MAX {
                return invalid(key.to_owned(), "has too many entries: at most 100 are taken");
            }
        }
        let mut consumers = BTreeSet::new();
        for (position, inbound) in self.inbound.iter().enumerate() {
            for (key, name) in [("stream", &inbound.stream), ("consumer", &inbound.consumer)] {
                if !is_name(name) {
                    return invalid(
                        format!("in[{position}].{key}"),
                        "must be letters, digits, hyphens and underscores",
                    );
                }
            }
            if !inbound.filter.is_empty() && !is_subject(&inbound.filter) {
                return invalid(format!("in[{position}].filter"), "must be a subject, such as orders.>");
            }
            if !consumers.insert((&inbound.stream, &inbound.consumer)) {
                return invalid(format!("in[{position}].consumer"), "is that of another entry");
            }
        }
        let mut names = BTreeSet::new();
        for (position, outbound) in self.outbound.iter().enumerate() {
            if let Err(error) = outbound.event_type.parse::<TypePattern>() {
                return invalid(format!("out[{position}].type"), &error.to_string());
            }
            if !is_subject(&outbound.subject_of("a")) || outbound.subject.contains(['*', '>']) {
                return invalid(format!("out[{position}].subject"), "must be a subject, such as elias.{tenant}.{type}");
            }
            if !names.insert(outbound.name.to_string()) {
                return invalid(format!("out[{position}].name"), "is that of another entry");
            }
        }
        Ok(())
    }

    /// Makes the paths of files absolute, from the folder that they are relative to.
    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Self {
        for path in [&mut self.credentials_file, &mut self.root_certificate].into_iter().flatten() {
            *path = folder.join(&*path);
        }
        self
    }
}

impl InboundConfig {
    /// The type of the event that a message of this subject becomes.
    pub(crate) fn type_of(&self, subject: &str) -> String {
        self.event_type.replace("{stream}", &self.stream).replace("{subject}", subject)
    }

    /// Its name for logs and metrics.
    pub(crate) fn label(&self) -> String {
        format!("nats/in/{}/{}", self.stream, self.consumer)
    }
}

impl OutboundConfig {
    /// The subject of an event of this type.
    pub(crate) fn subject_of(&self, event_type: &str) -> String {
        self.subject.replace("{tenant}", self.tenant.as_str()).replace("{type}", event_type)
    }

    /// Its name for logs, metrics and the cursor.
    pub(crate) fn label(&self) -> String {
        format!("nats/out/{}", self.name)
    }
}

/// Whether a text can be the name of a stream or a consumer.
fn is_name(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=255).contains(&text.len()) && text.bytes().all(good)
}

/// Whether a text is a subject: parts between dots, without spaces.
pub(crate) fn is_subject(text: &str) -> bool {
    let good = |part: &str| !part.is_empty() && !part.chars().any(|one| one.is_whitespace() || one.is_control());
    text.len() <= 1_024 && text.split('.').all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
        url = "tls://nats.example.com:4222"
        credentials-file = "nats.creds"
        root-certificate = "/etc/nats/ca.pem"

        [[in]]
        stream = "ORDERS"
        consumer = "elias"
        filter = "orders.>"
        tenant = "acme"
        type = "shop.{subject}"

        [[out]]
        name = "paid"
        tenant = "acme"
        type = "order.*"
        subject = "elias.{tenant}.{type}"
    "#;

    #[test]
    fn the_table_is_read_and_its_paths_are_relative_to_its_folder() {
        let config: NatsConfig = toml::from_str(WHOLE).expect("a table");
        assert_eq!(config.check(), Ok(()));
        assert_eq!(config.inbound[0].type_of("orders.new"), "shop.orders.new");
        assert_eq!(config.outbound[0].subject_of("order.paid"), "elias.acme.order.paid");
        let config = config.in_folder(Path::new("/etc/elias"));
        assert_eq!(config.credentials_file.as_deref(), Some(Path::new("/etc/elias/nats.creds")));
        assert_eq!(config.root_certificate.as_deref(), Some(Path::new("/etc/nats/ca.pem")));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let config: NatsConfig = toml::from_str(WHOLE).expect("a table");
        let changed = |change: fn(&mut NatsConfig)| {
            let mut config = config.clone();
            change(&mut config);
            config.check().map_err(|error| error.to_string())
        };
        for (error, key) in [
            (changed(|config| config.inbound[0].stream = "a.b".to_owned()), "nats.in[0].stream"),
            (changed(|config| config.inbound[0].filter = "a..b".to_owned()), "nats.in[0].filter"),
            (changed(|config| config.inbound.push(config.inbound[0].clone())), "nats.in[1].consumer"),
            (changed(|config| config.outbound[0].event_type = "a..b".to_owned()), "nats.out[0].type"),
            (changed(|config| config.outbound[0].subject = "elias.*".to_owned()), "nats.out[0].subject"),
            (changed(|config| config.outbound.push(config.outbound[0].clone())), "nats.out[1].name"),
        ] {
            let error = error.expect_err(key);
            assert!(error.starts_with(key), "{error}");
        }
    }
}
