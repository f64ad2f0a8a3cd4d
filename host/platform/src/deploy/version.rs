//! Accepts a version. All checks are made here, off the requests' path, and before anything changes.

use crate::access::Permission;
use crate::platform::Platform;
use crate::platform_events;
use crate::serving::{Tables, limits};
use crate::session::Session;
use crate::triggers::registration;
use crate::webhooks;
use elias_api::{
    Code, Component, Error, Result, SigningKeyEntry, TenantSettings, UploadedVersion, Version, VersionSettings,
};
use elias_contract::note::{KeyId, VerifyingKey};
use elias_contract::{layout, signature};
use elias_host::{CompiledComponent, ErrorCode};
use elias_names::{ComponentName, TenantId};
use elias_store::{NewVersion, TenantScope, now_ms};
use serde_json::{Value, json};

/// Files beside a component.
const FILES_MAX: usize = 20_000;
/// Bytes of a file's path.
const PATH_BYTES_MAX: usize = 512;
/// Bytes of a version's settings.
const SETTINGS_BYTES_MAX: usize = 1 << 20;

impl Platform {
    /// The components of a tenant after the name `after` that the session may see, by name and at most `limit`.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn components(
        &self,
        session: &Session,
        tenant: &TenantId,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Component>> {
        let mut scope = self.read(session, Permission::Read, tenant, None).await?;
        let allowed = session.allowed_components(&mut scope, Permission::Read, tenant).await?;
        Ok(scope.components(after, allowed.as_deref(), limit).await?)
    }

    /// Accepts a version of a component, which is made if it is new. The version that has just these bytes and
    /// settings and is the newest already is given again.
    ///
    /// # Errors
    /// `artifact-missing`, `bad-input`, `not-allowed`, `above-ceiling`, `signature-refused`, what
    /// [packages](crate::packages) are refused for, `quota-exceeded`, `compile-timeout`, and the host's own codes for
    /// what cannot be loaded. Nothing has changed then.
    pub async fn create_version(
        &self,
        session: &Session,
        tenant: &TenantId,
        component: &ComponentName,
        uploaded: &UploadedVersion,
    ) -> Result<Version> {
        session.require(Permission::Upload, tenant, Some(component))?;
        let (settings, keys, newest) = {
            let mut scope = self.store().read(tenant).await?;
            let settings = scope.this_tenant().await?.settings;
            let newest = scope.versions(component, None, 1).await?.pop();
            // Another tenant's artifact is none, whoever knows its digest.
            let component = [("the component", &uploaded.digest)];
            let files = uploaded.settings.files.iter().map(|(path, digest)| (path.as_str(), digest));
            for (what, digest) in component.into_iter().chain(files) {
                if !scope.has_artifact(digest).await? {
                    let message =
                        format!("{what} was not uploaded: send its bytes to /v1/tenants/{tenant}/artifacts/{digest}");
                    return Err(Error::new(Code::ArtifactMissing, message));
                }
            }
            (settings, scope.signing_keys().await?, newest)
        };
        if let Some(newest) = newest
            && newest.digest == uploaded.digest
            && newest.settings == uploaded.settings
            && newest.signature == uploaded.signature
        {
            return Ok(newest);
        }
        check_settings(&uploaded.settings, &settings)?;
        check_middleware(component, &uploaded.settings)?;
        limits(&self.serving().loader.limits, &settings, &uploaded.settings)?;
        self.serving().loader.ceilings.check(&settings, &uploaded.settings)?;
        let bytes = self.artifacts().get(&uploaded.digest).await?;
        let signers = check_signature(uploaded.signature.as_deref(), &bytes, &keys, &settings)?;
        self.examine_packages(&bytes, &settings).await?;
        webhooks::check(&uploaded.settings, self.config().webhooks.as_deref())?;
        let compiled = self.serving().loader.compile(tenant, &uploaded.digest).await?;
        check_imports(&compiled, &uploaded.settings, &settings)?;
        let layout = layout::read(&bytes).ok();
        if let Some(manifest) = &compiled.manifest {
            let checked =
                registration::check(&uploaded.settings)?.check_handlers(&manifest.handlers, &manifest.workers);
            checked.map_err(|error| Error::new(Code::BadInput, error.to_string()))?;
            super::worker_classes::check(&uploaded.settings, &manifest.workers)?;
            let engine = layout.as_ref().and_then(|layout| layout.engine.as_ref());
            super::worker_classes::check_engine(engine, &manifest.workers)?;
        }
        let manifest = compiled.manifest.as_ref().map(serde_json::to_value).transpose();
        let manifest = manifest.map_err(|error| Error::new(Code::Internal, error.to_string()))?;

        let mut scope = self.store().write(tenant).await?;
        let quotas = &settings.quotas;
        let number = scope.next_version(component, quotas.components).await?;
        if quotas.versions > 0 && scope.count_versions(component).await? >= quotas.versions {
            let message = format!(
                "{component} has {} versions already; delete some with: elias versions delete",
                quotas.versions
            );
            return Err(Error::new(Code::QuotaExceeded, message));
        }
        let entry = elias_transparency::LogEntry {
            format: elias_transparency::ENTRY_FORMAT,
            tenant: tenant.to_string(),
            component: component.to_string(),
            version: number.into(),
            sha256: uploaded.digest.to_string(),
            manifest: layout.as_ref().and_then(|layout| layout.manifest_json).map(elias_contract::digest),
            settings: Some(uploaded.settings.digest()),
            signers: signers.iter().map(ToString::to_string).collect(),
            time: u64::try_from(now_ms()).unwrap_or_default(),
        };
        let log_index = append(&mut scope, &entry).await?;
        let signed_by = signers.first().map(ToString::to_string);
        let new = NewVersion {
            component,
            number,
            digest: &uploaded.digest,
            bytes: bytes.len() as u64,
            manifest: manifest.as_ref(),
            settings: &uploaded.settings,
            signature: uploaded.signature.as_deref(),
            signed_by: signed_by.as_deref(),
            log_index,
        };
        let version = scope.insert_version(&new, &session.actor()).await?;
        let data = json!({ "component": component, "version": number, "digest": uploaded.digest });
        // A component goes with its last version, and may come again.
        let is_first = scope.count_versions(component).await? == 1;
        let change = if is_first { "component.created" } else { "component.updated" };
        platform_events::publish(&mut scope, change, component.to_string(), &data).await?;
        platform_events::publish(&mut scope, "version.accepted", component.to_string(), &data).await?;
        scope.commit().await?;
        self.runner().look();
        Ok(version)
    }

    /// Deletes a version, and with the last version its component.
    ///
    /// # Errors
    /// `forbidden`, `not-found`, `in-use` while it serves anywhere, `store-unavailable`.
    pub async fn delete_version(
        &self,
        session: &Session,
        tenant: &TenantId,
        component: &ComponentName,
        number: u32,
    ) -> Result<()> {
        let mut scope = self.write(session, Permission::Delete, tenant, Some(component)).await?;
        if scope.delete_version(component, number, &session.actor()).await? {
            let data = json!({ "component": component, "version": number });
            platform_events::publish(&mut scope, "component.deleted", component.to_string(), &data).await?;
        }
        scope.commit().await?;
        self.runner().look();
        Ok(())
    }
}

/// Appends to the transparency log, in the transaction that stores the version.
async fn append(scope: &mut TenantScope, entry: &elias_transparency::LogEntry) -> Result<u64> {
    let internal = |error: &dyn std::fmt::Display| Error::new(Code::Internal, format!("the transparency log: {error}"));
    let place = scope.reserve_log().await?;
    let known = scope.log_hashes(&elias_transparency::append_needs(place)).await?;
    let record = entry.to_bytes().map_err(|error| internal(&error))?;
    let appended = elias_transparency::append(place, &record, &known).map_err(|error| internal(&error))?;
    let record = String::from_utf8(record).map_err(|error| internal(&error))?;
    scope.append_log(place, &record, &appended.stored).await?;
    Ok(place)
}

/// Checks the settings of a version, except for those that depend on its environment.
pub(super) fn check_settings(settings: &VersionSettings, tenant: &TenantSettings) -> Result<()> {
    let bad = |message: String| Error::new(Code::BadInput, message);
    let bytes = serde_json::to_vec(settings).map_or(0, |text| text.len());
    if bytes > SETTINGS_BYTES_MAX {
        return Err(Error::new(
            Code::TooLarge,
            format!("the settings have {bytes} bytes; at most {SETTINGS_BYTES_MAX} are taken"),
        ));
    }
    Tables::read(settings)?;
    registration::check(settings)?;
    if settings.files.len() > FILES_MAX {
        return Err(bad(format!("a version has at most {FILES_MAX} files")));
    }
    for path in settings.files.keys() {
        let good = path.len() <= PATH_BYTES_MAX
            && !path.contains(['\\', '\0'])
            && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
        if !good {
            return Err(bad(format!("the file's path `{}` is not relative and plain", path.escape_debug())));
        }
    }
    if let Some(smoke) = &settings.smoke
        && !(smoke.path.is_empty()
            || smoke.path.starts_with('/') && smoke.path.parse::<http::uri::PathAndQuery>().is_ok())
    {
        return Err(bad("[smoke] path: must begin with a slash, or be empty for none".to_owned()));
    }
    for (name, table) in &settings.capabilities {
        if !tenant.capabilities.contains(name) {
            let message = format!(
                "[capabilities.{name}]: the tenant may not use this capability; platform operators allow it with: \
                 elias tenants set"
            );
            return Err(Error::new(Code::NotAllowed, message));
        }
        if !tenant.trusted {
            check_untrusted(name, table)?;
        }
    }
    Ok(())
}

/// Checks that a component is not middleware of its own: it could not tell in which place it is called.
fn check_middleware(component: &ComponentName, settings: &VersionSettings) -> Result<()> {
    if Tables::read(settings)?.gateway.middleware().contains(component) {
        let message =
            format!("[gateway] middleware: {component} cannot be middleware of its own; name another component");
        return Err(Error::new(Code::BadInput, message));
    }
    Ok(())
}

/// The capabilities that a tenant which is not trusted may be granted, each with the keys of its table that name a
/// server, an address or a file of the host, which are refused. A capability that is not listed is refused as a whole,
/// so that a new one stays closed to such tenants until somebody has examined its keys and added it here.
const UNTRUSTED_CAPABILITIES: [(&str, &[&str]); 11] = [
    ("cache", &["url", "root-certificate"]),
    // Its keys are the component's own: `check_untrusted` looks for `file` in their values.
    ("config", &[]),
    ("crypto", &[]),
    ("db", &["url", "login-url", "schema"]),
    ("events", &[]),
    ("flags", &[]),
    ("http", &["private", "ca-file"]),
    ("jobs", &[]),
    ("log", &[]),
    ("workers", &[]),
    ("workflow", &[]),
];

/// Refuses grants that would reach into the host or its network.
fn check_untrusted(capability: &str, table: &Value) -> Result<()> {
    const REMEDY: &str = "platform operators allow it with: elias tenants set --trusted";
    let refuse = |key: &str, why: &str| {
        Err(Error::new(Code::NotAllowed, format!("[capabilities.{capability}] {key}: {why}; {REMEDY}")))
    };
    let Some((_, keys)) = UNTRUSTED_CAPABILITIES.iter().find(|(name, _)| *name == capability) else {
        let message = format!("[capabilities.{capability}]: only trusted tenants may be granted it; {REMEDY}");
        return Err(Error::new(Code::NotAllowed, message));
    };
    if let Some(key) = keys.iter().find(|key| table.get(**key).is_some()) {
        return refuse(key, "it names something of the host's own network");
    }
    if let Some(backend) = table.get("backend").and_then(Value::as_str)
        && !matches!(backend, "sqlite" | "memory")
    {
        return refuse("backend", "it names a server of the host's own network");
    }
    if capability == "config" {
        let file = table.as_object().into_iter().flatten().find(|(_, entry)| entry.get("file").is_some());
        if let Some((key, _)) = file {
            return refuse(key, "it names a file of the host; use `env`, and set it with: elias secrets set");
        }
    }
    Ok(())
}

/// Checks the signature, if there is one or the tenant wants one; gives the keys that made it.
fn check_signature(
    signature: Option<&str>,
    bytes: &[u8],
    keys: &[SigningKeyEntry],
    tenant: &TenantSettings,
) -> Result<Vec<KeyId>> {
    let refused = |message: String| Error::new(Code::SignatureRefused, message);
    let Some(signature) = signature else {
        if tenant.require_signature {
            let message = "the tenant takes signed versions only: build with elias-build --sign KEYFILE";
            return Err(refused(message.to_owned()));
        }
        return Ok(Vec::new());
    };
    let valid = keys.iter().filter(|key| key.revoked_at.is_none()).map(|key| VerifyingKey::parse(&key.verifier));
    let valid = valid.collect::<Result<Vec<_>, _>>().map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    let verified = signature::verify(signature, bytes, &valid);
    verified
        .map(|verified| verified.signers)
        .map_err(|error| refused(format!("{error}; the tenant's keys are listed by: elias keys list")))
}

/// Checks the engine, and that everything imported was granted.
fn check_imports(compiled: &CompiledComponent, settings: &VersionSettings, tenant: &TenantSettings) -> Result<()> {
    if let Some(engine) = &compiled.engine
        && !tenant.engines.is_empty()
        && !tenant.engines.contains(engine)
    {
        let message = format!(
            "the component's engine {engine} is not among those that the tenant allows; build it with another \
            elias-build"
        );
        return Err(Error::new(Code::NotAllowed, message));
    }
    for capability in &compiled.capabilities {
        let first_use = compiled.manifest.as_ref().and_then(|manifest| manifest.first_use(capability));
        let first_use = first_use.map(|place| format!(" (for {place})")).unwrap_or_default();
        let denied = |message: String| Err(Error::new(Code::Component(ErrorCode::CapabilityDenied), message));
        // Crypto needs no grant, and a log is granted to everyone.
        let needs_grant = !matches!(capability.as_str(), "crypto" | "log");
        if needs_grant && !settings.capabilities.contains_key(capability) {
            return denied(format!(
                "it imports {capability}{first_use}, which it was not granted; add this line to elias.toml: \
                 [capabilities.{capability}]"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_names::Digest;

    fn settings(capabilities: Value) -> VersionSettings {
        serde_json::from_value(json!({ "capabilities": capabilities })).expect("settings")
    }

    #[test]
    fn an_untrusted_tenant_reaches_nothing_of_the_hosts() {
        let tenant = TenantSettings::default();
        let trusted = TenantSettings { trusted: true, ..TenantSettings::default() };
        for (capabilities, key) in [
            (json!({ "db": { "backend": "postgres", "url": "postgres://db" } }), "url"),
            (json!({ "db": { "backend": "postgres" } }), "backend"),
            (json!({ "db": { "login-url": { "env": "HOME" } } }), "login-url"),
            (json!({ "cache": { "backend": "redis" } }), "backend"),
            (json!({ "cache": { "root-certificate": "/etc/passwd" } }), "root-certificate"),
            (json!({ "http": { "allow": ["*"], "private": ["10.0.0.0/8"] } }), "private"),
            (json!({ "config": { "a": { "file": "/etc/passwd" } } }), "a"),
        ] {
            let error = check_settings(&settings(capabilities.clone()), &tenant).expect_err(key);
            assert_eq!(error.code(), Code::NotAllowed);
            assert!(error.to_string().contains(key), "{error}");
            assert!(check_settings(&settings(capabilities), &trusted).is_ok());
        }
        let good =
            json!({ "db": {}, "cache": {}, "http": { "allow": ["*"] }, "config": { "a": { "env": "A" }, "b": 1 } });
        assert!(check_settings(&settings(good), &tenant).is_ok());
    }

    #[test]
    fn a_component_is_not_its_own_middleware() {
        let gateway = json!({ "routes": [{ "middleware": [{ "component": "log" }, { "component": "shop" }] }] });
        let settings: VersionSettings = serde_json::from_value(json!({ "gateway": gateway })).expect("settings");
        let check = |name: &str| check_middleware(&name.parse().expect("a name"), &settings);
        assert_eq!(check("shop").expect_err("itself").code(), Code::BadInput);
        assert!(check("auth").is_ok());
    }

    #[test]
    fn an_unlisted_capability_is_refused_to_untrusted_tenants() {
        let capabilities = vec!["geo".to_owned()];
        let tenant = TenantSettings { capabilities: capabilities.clone(), ..TenantSettings::default() };
        let trusted = TenantSettings { capabilities, trusted: true, ..TenantSettings::default() };
        let geo = settings(json!({ "geo": {} }));
        let error = check_settings(&geo, &tenant).expect_err("geo is not listed");
        assert_eq!(error.code(), Code::NotAllowed);
        assert!(error.to_string().contains("[capabilities.geo]"), "{error}");
        assert!(check_settings(&geo, &trusted).is_ok());
    }

    #[test]
    fn the_capabilities_of_elias_are_open_to_untrusted_tenants() {
        for (name, _) in UNTRUSTED_CAPABILITIES {
            assert!(check_untrusted(name, &json!({})).is_ok(), "{name}");
        }
        for name in TenantSettings::default().capabilities {
            assert!(check_untrusted(&name, &json!({})).is_ok(), "{name}");
        }
    }

    #[test]
    fn paths_of_files_stay_in_their_folder() {
        for path in ["../a", "/a", "a//b", "a/./b", "a\\b", "", "a/"] {
            let settings: VersionSettings =
                serde_json::from_value(json!({ "files": { path: Digest::of(b"x") } })).expect("settings");
            let error = check_settings(&settings, &TenantSettings::default()).expect_err(path);
            assert_eq!(error.code(), Code::BadInput, "{path}");
        }
    }
}
