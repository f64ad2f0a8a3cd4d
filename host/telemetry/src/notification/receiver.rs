//! Receivers: whom notifications go to.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes of a URL.
const URL_BYTES_MAX: usize = 2_000;
/// Mail addresses of a receiver.
const ADDRESSES_MAX: usize = 20;
/// Bytes of a mail address (RFC 5321, 4.5.3.1.3).
const ADDRESS_BYTES_MAX: usize = 254;

/// The kind of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReceiverKind {
    /// A CloudEvent, posted to a URL and signed as the webhooks of components are.
    Webhook,
    /// A message of a chat with Slack's incoming webhooks, or one that takes these.
    Slack,
    /// An event of the tenant: `alert.firing` or `alert.resolved`.
    Events,
    /// A mail by the mail server of the host.
    Mail,
}

impl ReceiverKind {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Events => "events",
            Self::Mail => "mail",
        }
    }
}

/// The settings of a receiver. They are stored encrypted, and only shown without what is secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum ReceiverSettings {
    /// A CloudEvent, posted to a URL and signed as the webhooks of components are.
    Webhook {
        /// The URL, up to 2,000 bytes.
        url: String,
        /// The secret that the receiver verifies signatures with: `whsec_` and 24 to 64 bytes in Base64. It is not
        /// shown again.
        secret: String,
    },
    /// A message of a chat with Slack's incoming webhooks, or one that takes these.
    Slack {
        /// The URL, up to 2,000 bytes. Of it only the host is shown again.
        url: String,
    },
    /// An event of the tenant: `alert.firing` or `alert.resolved`.
    Events {},
    /// A mail by the mail server of the host.
    Mail {
        /// The addresses, 1 to 20.
        to: Vec<String>,
    },
}

/// Invalid settings of a receiver: the member, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidReceiver(String);

impl fmt::Debug for ReceiverSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReceiverSettings").field(&self.kind()).finish_non_exhaustive()
    }
}

impl ReceiverSettings {
    /// The kind.
    #[must_use]
    pub fn kind(&self) -> ReceiverKind {
        match self {
            Self::Webhook { .. } => ReceiverKind::Webhook,
            Self::Slack { .. } => ReceiverKind::Slack,
            Self::Events {} => ReceiverKind::Events,
            Self::Mail { .. } => ReceiverKind::Mail,
        }
    }

    /// Checks what can be checked without a network: lengths, and the form of addresses.
    ///
    /// # Errors
    /// The member that is wrong, and what it must be.
    pub fn check(&self) -> Result<(), InvalidReceiver> {
        let wrong = |text: String| Err(InvalidReceiver(text));
        match self {
            Self::Webhook { url, .. } | Self::Slack { url } => {
                if url.len() > URL_BYTES_MAX || !(url.starts_with("https://") || url.starts_with("http://")) {
                    return wrong(format!("`url` must be a URL with https or http, of at most {URL_BYTES_MAX} bytes"));
                }
            }
            Self::Events {} => {}
            Self::Mail { to } => {
                if !(1..=ADDRESSES_MAX).contains(&to.len()) {
                    return wrong(format!("`to` must have 1 to {ADDRESSES_MAX} addresses"));
                }
                if let Some(address) = to.iter().find(|address| !is_address(address)) {
                    let shown: String = address.chars().take(100).collect();
                    return wrong(format!("`{}` is not a mail address", shown.escape_debug()));
                }
            }
        }
        Ok(())
    }

    /// The target as it is shown: without secrets, and without the path of a URL, which may be one.
    #[must_use]
    pub fn shown_target(&self) -> String {
        match self {
            Self::Webhook { url, .. } | Self::Slack { url } => {
                let origin: Vec<_> = url.splitn(4, '/').take(3).collect();
                // Without a user and a password before the host.
                let origin = origin.join("/");
                let (scheme, authority) = origin.split_once("//").unwrap_or(("", &origin));
                let host = authority.rsplit('@').next().unwrap_or_default();
                format!("{scheme}//{}", host.split(['?', '#']).next().unwrap_or_default())
            }
            Self::Events {} => "events of the tenant".to_owned(),
            Self::Mail { to } => to.join(", "),
        }
    }
}

/// Whether a text can be a mail address: one `@` between two parts without spaces, control characters and signs that
/// a header or the protocol would take for its own.
fn is_address(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_graphic() && !b"<>()[],;:\\\"".contains(&byte);
    match text.split_once('@') {
        Some((local, domain)) => {
            text.len() <= ADDRESS_BYTES_MAX
                && !local.is_empty()
                && !domain.is_empty()
                && !domain.contains('@')
                && text.bytes().all(good)
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slack(url: &str) -> ReceiverSettings {
        ReceiverSettings::Slack { url: url.to_owned() }
    }

    fn mail(to: &[&str]) -> ReceiverSettings {
        ReceiverSettings::Mail { to: to.iter().map(|address| (*address).to_owned()).collect() }
    }

    #[test]
    fn hostile_targets_are_refused() {
        assert_eq!(slack("https://hooks.slack.com/services/T/B/x").check(), Ok(()));
        for url in ["", "ftp://a", "file:///etc/passwd", "javascript:alert(1)", "hooks.slack.com/services"] {
            assert!(slack(url).check().is_err(), "{url}");
        }
        assert!(slack(&format!("https://a/{}", "x".repeat(URL_BYTES_MAX))).check().is_err());
        assert_eq!(mail(&["ops+elias@example.com"]).check(), Ok(()));
        for address in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\r\nBcc: x@y", "<a@b>", "a@b,c@d", "é@b"] {
            assert!(mail(&[address]).check().is_err(), "{address}");
        }
        assert!(mail(&[]).check().is_err() && mail(&["a@b"; ADDRESSES_MAX + 1]).check().is_err());
        assert!(mail(&[&format!("a@{}", "b".repeat(ADDRESS_BYTES_MAX))]).check().is_err());
    }

    #[test]
    fn what_is_secret_is_not_shown() {
        assert_eq!(slack("https://hooks.slack.com/services/T/B/x").shown_target(), "https://hooks.slack.com");
        assert_eq!(slack("https://user:pass@a.example:8443/x").shown_target(), "https://a.example:8443");
        assert_eq!(slack("https://a.example?key=secret").shown_target(), "https://a.example");
        assert_eq!(mail(&["a@b", "c@d"]).shown_target(), "a@b, c@d");
        let webhook = ReceiverSettings::Webhook { url: "https://a/b".to_owned(), secret: "whsec_x".to_owned() };
        assert!(!format!("{webhook:?}").contains("whsec"));
    }

    #[test]
    fn settings_are_read_by_their_kind() {
        let read = |text: &str| serde_json::from_str::<ReceiverSettings>(text);
        assert_eq!(read(r#"{"kind":"events"}"#).expect("one"), ReceiverSettings::Events {});
        assert_eq!(read(r#"{"kind":"mail","to":["a@b"]}"#).expect("one"), mail(&["a@b"]));
        for text in [r"{}", r#"{"kind":"pager"}"#, r#"{"kind":"slack"}"#, r#"{"kind":"events","url":"x"}"#] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
