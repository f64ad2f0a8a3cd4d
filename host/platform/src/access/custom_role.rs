//! Roles that tenants define: Cedar policies, which select some of the permissions of a role of the platform.

mod nesting;
#[cfg(test)]
mod tests;

use super::target::AccessTarget;
use super::{Permission, Principal};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression, Schema, ValidationMode, Validator,
};
use elias_api::{Code, Error, POLICY_BYTES_MAX, ROLE_SCHEMA, Result, Role, RoleDefinition};
use elias_names::{RoleName, TenantId};
use elias_store::now_ms;
use miette::Diagnostic;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

/// Errors of a policy that are told at once.
const ERRORS_TOLD: usize = 10;

/// A role that a tenant defined, ready to be asked.
#[derive(Debug)]
pub struct CustomRole {
    pub(super) definition: RoleDefinition,
    policies: PolicySet,
}

/// A principal's request for a permission, which the policies of a role decide.
pub(super) struct AuthorizationRequest<'a> {
    pub(super) principal: &'a Principal,
    pub(super) permission: Permission,
    pub(super) tenant: &'a TenantId,
    pub(super) about: AccessTarget<'a>,
    /// The client's address, if it is known.
    pub(super) address: Option<IpAddr>,
}

/// The schema and the authorizer that all roles share.
struct Cedar {
    validator: Validator,
    authorizer: Authorizer,
    actor: EntityTypeName,
    action: EntityTypeName,
    tenant: EntityTypeName,
    component: EntityTypeName,
}

static CEDAR: LazyLock<Result<Cedar>> = LazyLock::new(|| {
    let (schema, _) = Schema::from_cedarschema_str(ROLE_SCHEMA).map_err(defect)?;
    let name = |text: &str| text.parse::<EntityTypeName>().map_err(defect);
    Ok(Cedar {
        validator: Validator::new(schema),
        authorizer: Authorizer::new(),
        actor: name("Actor")?,
        action: name("Action")?,
        tenant: name("Tenant")?,
        component: name("Component")?,
    })
});

fn cedar() -> Result<&'static Cedar> {
    CEDAR.as_ref().map_err(Clone::clone)
}

fn defect(error: impl std::fmt::Display) -> Error {
    Error::new(Code::Internal, format!("Cedar: {error}"))
}

impl CustomRole {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &RoleName {
        &self.definition.name
    }

    /// The role of the platform's that it never exceeds.
    #[must_use]
    pub fn ceiling(&self) -> Role {
        self.definition.ceiling
    }

    /// Reads a role's policies.
    ///
    /// # Errors
    /// As [`read_policies`].
    pub(crate) fn new(definition: RoleDefinition) -> Result<Self> {
        Ok(Self { policies: read_policies(&definition.policy)?, definition })
    }

    /// Checks that the policies permit this. What cannot be evaluated is not permitted.
    ///
    /// # Errors
    /// `forbidden`.
    pub(super) fn require(&self, authorization: &AuthorizationRequest<'_>) -> Result<()> {
        let (request, entities) = authorization.to_cedar(cedar()?)?;
        let response = cedar()?.authorizer.is_authorized(&request, &self.policies, &entities);
        let (name, permission) = (&self.definition.name, authorization.permission.kebab());
        let why = if response.diagnostics().errors().next().is_some() {
            "a policy of it cannot be evaluated"
        } else if response.decision() == Decision::Allow {
            return Ok(());
        } else if response.diagnostics().reason().next().is_some() {
            "a policy of it forbids this"
        } else {
            "no policy of it permits this"
        };
        let message = format!("the role {name} does not allow {permission} of {}: {why}", authorization.about);
        Err(Error::new(Code::Forbidden, message))
    }
}

/// Policies of a role, validated against the [schema](ROLE_SCHEMA).
///
/// # Errors
/// `too-large`; `bad-input` with line and column for what is not a policy, or does not fit the schema.
pub(crate) fn read_policies(text: &str) -> Result<PolicySet> {
    if text.len() > POLICY_BYTES_MAX {
        return Err(Error::new(Code::TooLarge, format!("a role's policies have at most {POLICY_BYTES_MAX} bytes")));
    }
    nesting::check(text)?;
    let policies: PolicySet = text.parse().map_err(|errors: cedar_policy::ParseErrors| {
        wrong(text, errors.iter().map(|error| error as &dyn Diagnostic))
    })?;
    if policies.num_of_templates() > 0 {
        let message = "policy: must not use `?principal` or `?resource`, which are for templates";
        return Err(Error::new(Code::BadInput, message));
    }
    let checked = cedar()?.validator.validate(&policies, ValidationMode::Strict);
    if !checked.validation_passed() {
        return Err(wrong(text, checked.validation_errors().map(|error| error as &dyn Diagnostic)));
    }
    Ok(policies)
}

impl AuthorizationRequest<'_> {
    fn to_cedar(&self, cedar: &Cedar) -> Result<(Request, Entities)> {
        let uid = |kind: &EntityTypeName, id: &str| EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id));
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let tenant = uid(&cedar.tenant, self.tenant.as_str());
        let actor = uid(&cedar.actor, &self.principal.name);
        let attributes = [("user", &self.principal.user_id), ("organization", &self.principal.organization_id)];
        let attributes = attributes.into_iter().filter_map(|(name, id)| Some((name.to_owned(), text(id.as_deref()?))));
        let mut entities = vec![
            Entity::new_no_attrs(tenant.clone(), HashSet::new()),
            Entity::new(actor.clone(), attributes.collect(), HashSet::new()).map_err(defect)?,
        ];
        let (component, environment) = self.about.parts();
        let resource = match component {
            None => tenant,
            Some(component) => {
                let resource = uid(&cedar.component, component.as_str());
                let mut attributes = HashMap::from([("name".to_owned(), text(component.as_str()))]);
                attributes
                    .extend(environment.map(|environment| ("environment".to_owned(), text(environment.as_str()))));
                let entity = Entity::new(resource.clone(), attributes, HashSet::from([tenant])).map_err(defect)?;
                entities.push(entity);
                resource
            }
        };
        let since = Duration::from_millis(u64::try_from(now_ms()).unwrap_or_default());
        let now = humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string();
        let mut context = vec![("time".to_owned(), RestrictedExpression::new_datetime(now))];
        let address = self.address.map(|address| RestrictedExpression::new_ip(address.to_string()));
        context.extend(address.map(|address| ("address".to_owned(), address)));
        if self.permission.is_of_a_service() {
            context.extend(environment.map(|environment| ("environment".to_owned(), text(environment.as_str()))));
        }
        let context = Context::from_pairs(context).map_err(defect)?;
        let action = uid(&cedar.action, &self.permission.kebab());
        let request = Request::new(actor, action, resource, context, None).map_err(defect)?;
        Ok((request, Entities::from_entities(entities, None).map_err(defect)?))
    }
}

/// Says what is wrong with a policy, and where.
fn wrong<'a>(policy: &str, errors: impl Iterator<Item = &'a dyn Diagnostic>) -> Error {
    let line = |error: &dyn Diagnostic| {
        let offset = error.labels().and_then(|mut labels| labels.next()).map(|label| label.offset());
        let at = offset.map_or_else(String::new, |offset| place(policy, offset));
        let help = error.help().map_or_else(String::new, |help| format!(" ({help})"));
        format!("{at}{error}{help}")
    };
    let told: Vec<_> = errors.take(ERRORS_TOLD).map(line).collect();
    Error::new(Code::BadInput, format!("policy: {}", told.join("; ")))
}

/// `line 3, column 7: `, both counted from 1, the column in characters.
fn place(policy: &str, offset: usize) -> String {
    let before = policy.get(..offset).unwrap_or(policy);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    format!("line {line}, column {column}: ")
}
