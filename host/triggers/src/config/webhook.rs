//! The settings of a webhook that events are sent to: `[[triggers.webhook]]`.

use super::TriggersConfig;
use super::batch::BatchConfig;
use super::error::{InvalidTrigger, Table};
use super::retry::RetryConfig;
use super::subscription::{SubscriptionConfig, concurrency, name_of_type};
use crate::event::Order;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;
use utoipa::ToSchema;

/// Bytes of the longest URL.
const URL_BYTES_MAX: usize = 2_048;
/// Bytes of the longest name of a secret.
const SECRET_NAME_BYTES_MAX: usize = 128;

/// A subscription to events whose target is a URL: each is sent there by POST, with a signature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WebhookConfig {
    /// The name: 1 to 40 lower-case letters and digits, with single hyphens between them. From the type by default:
    /// `order-any` for `order.*`. No subscription of the component has the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The type of the events, or a pattern: `*` is one part, `**` any number of parts.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Conditions by path, of which all must hold: `{ "data.country" = ["uz", "ru"], "data.total" = { gte = 100 } }`.
    #[serde(rename = "where", default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub filter: Map<String, Value>,
    /// A jq expression that makes the event's data from the event; none by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<String>,
    /// When a delivery that failed is retried.
    #[serde(default)]
    pub retry: RetryConfig,
    /// Which events are delivered one after another: `none` (the default), `subject` or `all`.
    #[serde(default)]
    pub order: Order,
    /// The maximum number of concurrent deliveries: 1 to 1,000; 10 by default.
    #[serde(default = "concurrency")]
    pub concurrency: u32,
    /// The URL that events are sent to: http or https, without user and password, of at most 2,048 bytes.
    pub url: String,
    /// The name of the secret that signs: a variable that a secret of `[capabilities.config]` names.
    pub secret: String,
}

impl WebhookConfig {
    /// Whether the configuration of a subscription, as it is stored, is that of a webhook.
    #[must_use]
    pub fn is_webhook(config: &Value) -> bool {
        config.get("url").is_some()
    }

    /// The name, or the one that follows from the type.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| name_of_type(&self.event_type))
    }

    /// Which events are delivered, and when again.
    #[must_use]
    pub fn subscription(&self) -> SubscriptionConfig {
        SubscriptionConfig {
            name: self.name.clone(),
            event_type: self.event_type.clone(),
            filter: self.filter.clone(),
            transform: self.transform.clone(),
            retry: self.retry,
            order: self.order,
            batch: BatchConfig::default(),
            concurrency: self.concurrency,
            worker: None,
        }
    }

    pub(super) fn check(&self, table: Table<'_>) -> Result<(), InvalidTrigger> {
        self.subscription().check(table)?;
        check_url(&self.url).map_err(|what| table.error("url", what))?;
        let letters = self.secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if self.secret.is_empty() || self.secret.len() > SECRET_NAME_BYTES_MAX || !letters {
            let what = format!(
                "must be the name of a secret, such as WEBHOOK_SECRET: 1 to {SECRET_NAME_BYTES_MAX} letters, digits \
                 and underscores"
            );
            return Err(table.error("secret", what));
        }
        Ok(())
    }
}

fn check_url(text: &str) -> Result<(), String> {
    if text.len() > URL_BYTES_MAX {
        return Err(format!("has {} bytes; it must have at most {URL_BYTES_MAX}", text.len()));
    }
    let url = Url::parse(text).map_err(|error| format!("must be a URL such as https://example.com/hooks: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with https:// or http://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must have no user and no password: the signature says who sends".to_owned());
    }
    if url.fragment().is_some() {
        return Err("must have no fragment: it is not sent".to_owned());
    }
    Ok(())
}

impl TriggersConfig {
    /// Checks that the webhooks fit the component's grants: `config` is the table `[capabilities.config]`, and
    /// `allows` says what is missing for requests to a URL.
    ///
    /// # Errors
    /// [`InvalidTrigger`] for a secret that is not declared or a URL that may not be reached, with the lines to add.
    pub fn check_webhooks(
        &self,
        config: Option<&Value>,
        allows: impl Fn(&str) -> Result<(), String>,
    ) -> Result<(), InvalidTrigger> {
        for (position, webhook) in self.webhook.iter().enumerate() {
            let path = format!("triggers.webhook[{position}]");
            let table = Table(&path);
            if !is_declared(config, &webhook.secret) {
                let secret = &webhook.secret;
                let what = format!(
                    "names {secret}, which is not a secret of the component; add to elias.toml: \
                     [capabilities.config] with {} = {{ env = \"{secret}\", secret = true, optional = true }}",
                    secret.to_ascii_lowercase()
                );
                return Err(table.error("secret", what));
            }
            allows(&webhook.url).map_err(|what| table.error("url", what))?;
        }
        Ok(())
    }
}

/// Whether `[capabilities.config]` has a secret that is read from this variable.
fn is_declared(config: Option<&Value>, variable: &str) -> bool {
    let entries = config.and_then(Value::as_object).into_iter().flatten();
    entries.into_iter().any(|(_, entry)| {
        let is_secret = entry.get("secret") == Some(&Value::Bool(true));
        is_secret && entry.get("env").and_then(Value::as_str) == Some(variable)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn webhook(url: &str, secret: &str) -> TriggersConfig {
        let text = format!("[[webhook]]\ntype = \"order.*\"\nurl = \"{url}\"\nsecret = \"{secret}\"\n");
        toml::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_webhook_needs_a_type_a_url_and_a_secret() {
        let config = webhook("https://example.com/hooks?a=b", "WEBHOOK_SECRET");
        assert_eq!((config.check(), config.webhook[0].name().as_str()), (Ok(()), "order-any"));
        assert!(!config.is_empty());
        let stored = serde_json::to_value(&config.webhook[0]).expect("JSON");
        assert!(WebhookConfig::is_webhook(&stored) && !WebhookConfig::is_webhook(&json!({ "type": "order.*" })));
        let long = format!("https://example.com/{}", "x".repeat(2_048));
        let long_name = "A".repeat(129);
        for (url, secret, key, wanted) in [
            ("example.com", "A", "url", "must be a URL"),
            ("ftp://example.com", "A", "url", "must begin with https://"),
            ("https://user@example.com", "A", "url", "no user"),
            ("https://:word@example.com", "A", "url", "no password"),
            ("https://example.com/#a", "A", "url", "no fragment"),
            (long.as_str(), "A", "url", "at most 2048"),
            ("https://example.com", "", "secret", "the name of a secret"),
            ("https://example.com", "whsec_A+B", "secret", "the name of a secret"),
            ("https://example.com", long_name.as_str(), "secret", "1 to 128 letters"),
        ] {
            let error = webhook(url, secret).check().expect_err(url);
            assert_eq!(error.key(), format!("triggers.webhook[0].{key}"), "{url} {secret}");
            assert!(error.to_string().contains(wanted), "{error}");
        }
    }

    #[test]
    fn a_webhook_and_a_subscription_have_different_names() {
        let mut config = webhook("https://example.com", "A");
        config.event.push(config.webhook[0].subscription());
        assert_eq!(config.check().expect_err("two of one name").key(), "triggers.webhook[0].name");
    }

    #[test]
    fn the_secret_and_the_url_have_to_be_granted() {
        let config = webhook("https://example.com/hooks", "WEBHOOK_SECRET");
        let declared = json!({ "key": { "env": "WEBHOOK_SECRET", "secret": true } });
        assert_eq!(config.check_webhooks(Some(&declared), |_| Ok(())), Ok(()));
        let open = json!({ "key": { "env": "WEBHOOK_SECRET" }, "other": { "env": "OTHER", "secret": true } });
        for table in [None, Some(&open)] {
            let error = config.check_webhooks(table, |_| Ok(())).expect_err("not a secret");
            assert_eq!(error.key(), "triggers.webhook[0].secret");
            assert!(
                error.to_string().contains("webhook_secret = { env = \"WEBHOOK_SECRET\", secret = true"),
                "{error}"
            );
        }
        let error = config.check_webhooks(Some(&declared), |url| Err(format!("{url} is not allowed")));
        let error = error.expect_err("not allowed");
        assert_eq!(error.to_string(), "triggers.webhook[0].url https://example.com/hooks is not allowed");
    }
}
