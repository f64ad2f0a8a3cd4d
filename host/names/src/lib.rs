//! The names of things: checked where they come in, and types from there on.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A text that is not a name of its kind: says what the name must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidName(String);

/// Bytes of the longest name.
pub const NAME_BYTES_MAX: usize = 40;

/// Letters a to z, digits and hyphens, as in a host name: names of tenants and components are labels of the hosts that
/// serve them. Two hyphens in a row are left to the environment in such a host.
fn is_label(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(good)
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.contains("--")
}

/// Defines a name that is a label.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String, pattern = "^[a-z0-9]+(-[a-z0-9]+)*$", max_length = 40)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                if is_label(&text) {
                    return Ok(Self(text));
                }
                Err(InvalidName(format!(
                    concat!("`{}` is not a ", $what, " name: use at most {} letters a to z, digits and single hyphens ",
                        "between them"),
                    text.chars().take(2 * NAME_BYTES_MAX).collect::<String>().escape_debug(), NAME_BYTES_MAX,
                )))
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

label!(
    /// The name of a tenant, a team with its own components, data and tokens: 1 to 40 lower-case letters and digits,
    /// with single hyphens between them, such as `acme`.
    TenantId, "tenant"
);
label!(
    /// The name of a component of a tenant: 1 to 40 lower-case letters and digits, with single hyphens between them,
    /// such as `web-shop`.
    ComponentName, "component"
);

label!(
    /// A role that a tenant defined.
    RoleName, "role"
);

label!(
    /// The name of an alert rule of a tenant.
    AlertRuleName, "rule"
);

label!(
    /// The name of a receiver of a tenant's notifications.
    ReceiverName, "receiver"
);

label!(
    /// The name of a schedule, of a subscription to events or of a kind of jobs of a component.
    TriggerName, "trigger"
);

impl TenantId {
    /// The tenant of the platform operators: its tokens may act on every tenant.
    pub const SYSTEM: &'static str = "system";

    /// Whether this is the tenant of the platform operators.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.0 == Self::SYSTEM
    }

    /// The tenant of the platform operators.
    #[must_use]
    pub fn system() -> Self {
        Self(Self::SYSTEM.to_owned())
    }
}

/// An environment of a component: each has its own service, secrets and rollouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// For the developers of the component.
    Dev,
    /// For tests under the conditions of production.
    Staging,
    /// For all users.
    Production,
}

impl Environment {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Dev, Self::Staging, Self::Production];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

impl FromStr for Environment {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::ALL.into_iter().find(|environment| environment.as_str() == text).ok_or_else(|| {
            let text: String = text.chars().take(NAME_BYTES_MAX).collect();
            InvalidName(format!("`{}` is not an environment: use dev, staging or production", text.escape_debug()))
        })
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A SHA-256 digest, as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
pub struct Digest(String);

impl Digest {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(elias_contract::digest(bytes))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
            return Ok(Self(text));
        }
        Err(InvalidName("a digest must be a SHA-256 of 64 lower-case hexadecimal digits".to_owned()))
    }
}

impl FromStr for Digest {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::try_from(text.to_owned())
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The identity of a service: a component of a tenant in an environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceId {
    /// The tenant.
    pub tenant: TenantId,
    /// The component.
    pub component: ComponentName,
    /// The environment.
    pub environment: Environment,
}

impl ServiceId {
    /// The host's label for it under the tenant's: `shop`, and `shop--staging` outside of production.
    #[must_use]
    pub fn label(&self) -> String {
        match self.environment {
            Environment::Production => self.component.to_string(),
            other => format!("{}--{other}", self.component),
        }
    }

    /// How its tenant's audit trail names it: `shop/production`.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("{}/{}", self.component, self.environment)
    }
}

impl FromStr for ServiceId {
    type Err = InvalidName;

    /// Reads what [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let mut parts = text.splitn(3, '/');
        let mut part = || parts.next().unwrap_or_default();
        Ok(Self { tenant: part().parse()?, component: part().parse()?, environment: part().parse()? })
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.tenant, self.component, self.environment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels_of_a_host() {
        for good in ["a", "shop", "shop-2", "0", &"x".repeat(NAME_BYTES_MAX)] {
            assert!(TenantId::from_str(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "a--b", "A", "a_b", "a.b", "a/b", "..", "ä", "a\n", &"x".repeat(NAME_BYTES_MAX + 1)]
        {
            let error = ComponentName::from_str(bad).expect_err(bad);
            assert!(error.to_string().contains("letters a to z"), "{bad}: {error}");
        }
        assert!(serde_json::from_str::<TenantId>("\"a b\"").is_err(), "also where they are read from JSON");
    }

    #[test]
    fn an_unknown_environment_is_told_which_there_are() {
        assert_eq!("production".parse::<Environment>().ok(), Some(Environment::Production));
        assert!("prod".parse::<Environment>().expect_err("unknown").to_string().contains("staging"));
    }
}
