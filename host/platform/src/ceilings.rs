//! Ceilings: the most of each setting of elias.toml that a tenant's versions may have.
//!
//! A ceiling is a key and a number. The key is that of elias.toml with its tables, `capabilities.db.connections` or
//! `limits.fuel`, and the number has the unit that is in the key's name. There is one for every amount that a
//! capability declares ([`Capability::amounts`](elias_host::capability::Capability::amounts)); the operator may set
//! others for the host and for a tenant, also for numbers of `[limits]`, `[gateway]`, `[supervision]`, `[triggers]` and
//! `[workers]`.
//!
//! An amount in elias.toml above a ceiling refuses the deployment. A default that is above one is lowered to it, and
//! so is what an accepted version asks for above a ceiling that came later: at its next load, which a change of
//! ceilings brings about.

use elias_api::{Ceiling, Code, Error, Result, TenantSettings, VersionSettings};
use elias_host::capability::Amount;
use elias_host::{Host, Limits};
use serde_json::{Map, Number, Value, json};
use std::collections::BTreeMap;

/// The name of a number of `[limits]`.
const LIMITS: &str = "limits.";
/// The name of a number of a capability's table.
const CAPABILITIES: &str = "capabilities.";
/// Tables whose numbers have no ceiling unless the operator sets one.
const OTHER_TABLES: [&str; 4] = ["gateway.", "supervision.", "triggers.", "workers."];
/// Ceilings that may be set for a tenant.
pub(crate) const CEILINGS_MAX: usize = 1_000;

/// The ceilings of a host, for all tenants that have none of their own.
pub struct Ceilings {
    host: Host,
    /// The host's own limits: what they leave of a version's is all that it gets anyway.
    limits: Map<String, Value>,
    /// The amounts that capabilities declare, by key.
    amounts: BTreeMap<String, Amount>,
    /// For every tenant.
    general: BTreeMap<String, u64>,
}

impl Ceilings {
    /// The ceilings of the host's capabilities, and in their place, or beside them, those of the operator.
    ///
    /// # Errors
    /// `bad-input` for a key that elias.toml does not have.
    pub fn new(host: &Host, limits: &Limits, of_operator: &BTreeMap<String, u64>) -> Result<Self> {
        let limits = serde_json::to_value(limits).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let limits = limits.as_object().into_iter().flatten();
        let limits = limits.map(|(key, value)| (key.replace('_', "-"), value.clone())).collect();
        let amounts: BTreeMap<_, _> = host
            .amounts()
            .flat_map(|(name, amounts)| {
                amounts.iter().map(move |amount| (format!("{CAPABILITIES}{name}.{}", amount.key), *amount))
            })
            .collect();
        let mut general: BTreeMap<_, _> = amounts.iter().map(|(key, amount)| (key.clone(), amount.ceiling)).collect();
        let this = Self { host: host.clone(), limits, amounts, general: BTreeMap::new() };
        this.check_keys(of_operator)?;
        general.extend(of_operator.iter().map(|(key, ceiling)| (key.clone(), *ceiling)));
        Ok(Self { general, ..this })
    }

    /// Checks that there can be ceilings of these keys.
    ///
    /// # Errors
    /// `bad-input`, with the keys there are.
    pub fn check_keys(&self, ceilings: &BTreeMap<String, u64>) -> Result<()> {
        let bad = |message: String| Err(Error::new(Code::BadInput, message));
        if ceilings.len() > CEILINGS_MAX {
            return bad(format!("ceilings: at most {CEILINGS_MAX}"));
        }
        for key in ceilings.keys() {
            let known = self.amounts.contains_key(key)
                || key.strip_prefix(LIMITS).is_some_and(|limit| self.limits.contains_key(limit))
                || OTHER_TABLES.iter().any(|table| key.strip_prefix(table).is_some_and(|rest| !rest.is_empty()));
            if !known {
                let all = self.keys().collect::<Vec<_>>().join(", ");
                return bad(format!(
                    "ceilings: the setting `{}` does not exist; ceilings can be set for {all}, and for numbers \
                     of gateway.*, supervision.*, triggers.* and workers.*",
                    key.escape_debug()
                ));
            }
        }
        Ok(())
    }

    /// The keys of all limits and amounts.
    pub fn keys(&self) -> impl Iterator<Item = String> {
        self.amounts.keys().cloned().chain(self.limits.keys().map(|limit| format!("{LIMITS}{limit}")))
    }

    /// The ceilings that hold for a tenant, those of all limits and amounts among them.
    #[must_use]
    pub fn of(&self, tenant: &TenantSettings) -> Vec<Ceiling> {
        let mut keys: Vec<String> = self.keys().chain(self.general.keys().cloned()).collect();
        keys.extend(tenant.ceilings.keys().cloned());
        keys.sort_unstable();
        keys.dedup();
        let entry = |key: String| Ceiling {
            ceiling: self.ceiling(tenant, &key),
            default: self.default(&key),
            own: tenant.ceilings.contains_key(&key),
            key,
        };
        keys.into_iter().map(entry).collect()
    }

    fn ceiling(&self, tenant: &TenantSettings, key: &str) -> Option<u64> {
        tenant.ceilings.get(key).or_else(|| self.general.get(key)).copied()
    }

    fn default(&self, key: &str) -> Option<u64> {
        match key.strip_prefix(LIMITS) {
            Some(limit) => self.limits.get(limit)?.as_u64(),
            None => self.amounts.get(key).map(|amount| amount.default),
        }
    }

    /// Checks that a version asks for nothing above the ceilings of its tenant.
    ///
    /// # Errors
    /// `above-ceiling`, with the key, what it asks for, and the ceiling; also for a number in a capability's table
    /// that the capability does not declare, for nothing could be held against a ceiling then.
    pub fn check(&self, tenant: &TenantSettings, settings: &VersionSettings) -> Result<()> {
        let refuse = |message: String| Err(Error::new(Code::AboveCeiling, message));
        for (key, asked) in numbers_of(settings) {
            // Beyond the host's limit it gets what the host gives to all.
            let limit = key.strip_prefix(LIMITS).and_then(|limit| self.limits.get(limit)?.as_u64());
            let given = limit.zip(asked.as_u64()).map_or_else(|| asked.clone(), |(most, asked)| asked.min(most).into());
            match self.ceiling(tenant, &key) {
                Some(ceiling) if is_above(&given, ceiling) => {
                    return refuse(format!(
                        "{key} is {asked}, and the tenant's ceiling is {ceiling}: ask for less in elias.toml, or \
                         ask the platform operators to raise it: elias tenants set TENANT --ceiling {key}={asked}"
                    ));
                }
                Some(_) => {}
                None if self.is_undeclared(&key) => {
                    return refuse(format!(
                        "{key} is {asked}, but the capability does not declare this amount, so that it has no ceiling: \
                         leave it out"
                    ));
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Whether this is the key of a number in the table of one of the host's capabilities that is neither declared nor
    /// data.
    fn is_undeclared(&self, key: &str) -> bool {
        let Some((capability, rest)) = key.strip_prefix(CAPABILITIES).and_then(|rest| rest.split_once('.')) else {
            return false;
        };
        let first = rest.split('.').next().unwrap_or(rest);
        // Of a capability that the host does not have, no component gets anything.
        !self.amounts.contains_key(key) && self.host.takes_data(capability, first) == Some(false)
    }

    /// A version's grants as they are given: nothing in them is above a ceiling, defaults neither.
    #[must_use]
    pub fn grants(&self, tenant: &TenantSettings, settings: &VersionSettings) -> Map<String, Value> {
        let mut grants = settings.capabilities.clone();
        for (key, amount) in &self.amounts {
            let Some(ceiling) = self.ceiling(tenant, key) else { continue };
            let path = key.strip_prefix(CAPABILITIES).and_then(|rest| rest.split_once('.'));
            let Some((capability, path)) = path else { continue };
            // A capability that was not granted needs no ceiling, and an empty table would be a grant.
            let Some(table) = grants.get_mut(capability) else { continue };
            lower(table, path, amount.default, ceiling);
        }
        grants
    }

    /// The limits of a version within the tenant's ceilings, from `limits`, which is without them.
    ///
    /// # Errors
    /// `internal`.
    pub fn limits(&self, tenant: &TenantSettings, limits: &Limits) -> Result<Limits> {
        let internal = |error: serde_json::Error| Error::new(Code::Internal, error.to_string());
        let mut table = serde_json::to_value(limits).map_err(internal)?;
        for (name, value) in table.as_object_mut().into_iter().flatten() {
            let ceiling = self.ceiling(tenant, &format!("{LIMITS}{}", name.replace('_', "-")));
            if let (Some(ceiling), Some(number)) = (ceiling, value.as_u64()) {
                *value = json!(number.min(ceiling.max(1)));
            }
        }
        serde_json::from_value(table).map_err(internal)
    }
}

/// All numbers of a version's settings that may have a ceiling, with their keys. What stands in an array has the
/// array's key.
fn numbers_of(settings: &VersionSettings) -> Vec<(String, Number)> {
    let mut found = Vec::new();
    for (name, table) in &settings.capabilities {
        numbers(&format!("{CAPABILITIES}{name}"), table, &mut found);
    }
    let limits =
        settings.limits.iter().map(|(name, limit)| (format!("{LIMITS}{}", name.replace('_', "-")), (*limit).into()));
    found.extend(limits);
    let others = [
        ("gateway", &settings.gateway),
        ("supervision", &settings.supervision),
        ("triggers", &settings.triggers),
        ("workers", &settings.workers),
    ];
    for (name, table) in others {
        if let Some(table) = table {
            numbers(name, table, &mut found);
        }
    }
    found
}

fn numbers(key: &str, value: &Value, found: &mut Vec<(String, Number)>) {
    match value {
        Value::Number(number) => found.push((key.to_owned(), number.clone())),
        Value::Array(items) => items.iter().for_each(|item| numbers(key, item, found)),
        Value::Object(table) => table.iter().for_each(|(name, value)| numbers(&format!("{key}.{name}"), value, found)),
        _ => {}
    }
}

fn is_above(asked: &Number, ceiling: u64) -> bool {
    match asked.as_u64() {
        Some(asked) => asked > ceiling,
        // Less than nothing, or a fraction: whether that is an amount at all is the capability's to say.
        None => asked.as_f64().is_some_and(|asked| asked > ceiling as f64),
    }
}

/// Sees to it that the number at a path is at most `ceiling`; one that is not there is what the default is.
fn lower(table: &mut Value, path: &str, default: u64, ceiling: u64) {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let Some(table) = table.as_object_mut() else { return };
    match rest {
        Some(rest) => {
            let inner = table.get(first).cloned();
            let mut inner = inner.unwrap_or_else(|| Value::Object(Map::new()));
            lower(&mut inner, rest, default, ceiling);
            if inner.as_object().is_some_and(|inner| !inner.is_empty()) {
                table.insert(first.to_owned(), inner);
            }
        }
        None => {
            let is_over = match table.get(first) {
                Some(Value::Number(asked)) => is_above(asked, ceiling),
                None | Some(Value::Null) => default > ceiling,
                _ => false,
            };
            if is_over {
                table.insert(first.to_owned(), ceiling.into());
            }
        }
    }
}

#[cfg(test)]
mod tests;
