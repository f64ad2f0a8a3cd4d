//! The grant of a capability that every component has: its table of elias.toml may be there, and has no keys.

use elias_host::capability::ConfigureError;
use serde::Deserialize;
use serde_json::Value;

/// A table without keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table without keys")]
struct EmptyGrant {}

/// Checks such a grant. A key that was ignored would be taken for a setting that holds.
///
/// # Errors
/// [`ConfigureError::Invalid`] for a table with a key, which is named, and for what is not a table.
pub(crate) fn check(granted: Option<&Value>) -> Result<(), ConfigureError> {
    match granted {
        None => Ok(()),
        table => elias_host::grants::parse::<EmptyGrant>(table).map(|EmptyGrant {}| ()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_may_be_there_and_a_key_in_it_is_named() {
        for good in [None, Some(json!({}))] {
            assert!(check(good.as_ref()).is_ok(), "{good:?}");
        }
        for (wrong, named) in [(json!({ "iterations": 5 }), "`iterations`"), (json!(7), "a table"), (json!("on"), "on")]
        {
            let refused = check(Some(&wrong));
            assert!(matches!(&refused, Err(ConfigureError::Invalid(why)) if why.contains(named)), "{refused:?}");
        }
    }
}
