//! The permissions of roles, and the policies that are accepted.

use super::*;
use elias_api::TokenRole;
use elias_names::{ComponentName, Environment};
use std::sync::Arc;

/// docs/reference/platform.md, whose policies are tested as they stand there.
const DOCS: &str = include_str!("../../../../../docs/reference/platform.md");

/// The policies of the documentation that follow the line with `elias roles set NAME`.
fn documented(name: &str) -> String {
    let (_, rest) = DOCS.split_once(&format!("elias roles set {name} ")).expect("the role is documented");
    let mut lines = rest.lines().skip_while(|line| !line.starts_with("    //"));
    let block: Vec<_> = lines.by_ref().take_while(|line| line.starts_with("    ") || line.is_empty()).collect();
    block.join("\n")
}

fn definition(policy: &str, ceiling: Role) -> RoleDefinition {
    let name = "tester".parse().expect("a name");
    RoleDefinition { name, ceiling, policy: policy.to_owned(), revision: 1, changed_at: 0, changed_by: "x".into() }
}

fn principal(policy: &str, ceiling: Role) -> Principal {
    let role = CustomRole::new(definition(policy, ceiling)).expect("the policies are good");
    Principal {
        name: "p".into(),
        tenant: acme(),
        given: TokenRole::Custom(role.name().clone()),
        role: ceiling,
        custom: vec![Arc::new(role)],
        components: None,
        user_id: Some("ada".into()),
        organization_id: None,
        expires_at: i64::MAX,
    }
}

fn acme() -> TenantId {
    "acme".parse().expect("a name")
}

/// Whether it may do this in an environment, from 127.0.0.1.
fn may(by: &Principal, permission: Permission, component: &str, environment: Environment) -> bool {
    let component: ComponentName = component.parse().expect("a name");
    by.require(permission, &acme(), AccessTarget::Service(&component, environment), "127.0.0.1").is_ok()
}

fn refused(policy: &str) -> (Code, String) {
    let error = read_policies(policy).expect_err(policy);
    (error.code(), error.to_string())
}

#[test]
fn the_schema_has_the_permissions_of_a_tenant_as_its_actions_and_no_others() {
    let (schema, warnings) = Schema::from_cedarschema_str(ROLE_SCHEMA).expect("the schema is good");
    assert_eq!(warnings.count(), 0);
    let mut actions: Vec<_> = schema.actions().map(|action| action.id().unescaped().to_owned()).collect();
    let tenants = Permission::ALL.iter().filter(|permission| !permission.is_of_the_host());
    let mut permissions: Vec<_> = tenants.map(|permission| permission.kebab()).collect();
    actions.sort_unstable();
    permissions.sort_unstable();
    assert_eq!(actions, permissions);
    assert!(permissions.contains(&"deploy-production".to_owned()));
}

#[test]
fn the_documented_deployer_deploys_the_shops_to_staging_and_sees_the_rest() {
    let by = principal(&documented("shop-deployer"), Role::Developer);
    use Environment::{Dev, Production, Staging};
    assert!(may(&by, Permission::Deploy, "shop-eu", Staging));
    assert!(!may(&by, Permission::Deploy, "shop-eu", Dev), "another environment");
    assert!(!may(&by, Permission::Deploy, "blog", Staging), "another component");
    assert!(!may(&by, Permission::DeployProduction, "shop-eu", Production), "beyond the ceiling");
    assert!(may(&by, Permission::Read, "blog", Production) && may(&by, Permission::Upload, "shop-eu", Staging));
    for permission in [Permission::Read, Permission::Upload] {
        assert!(by.require(permission, &acme(), AccessTarget::Tenant, "local").is_ok(), "{permission:?}");
    }
    for permission in [Permission::Access, Permission::Audit, Permission::Tenants, Permission::Backup] {
        assert!(by.require(permission, &acme(), AccessTarget::Tenant, "local").is_err(), "{permission:?}");
    }
}

#[test]
fn the_documented_watch_runs_all_but_payments_and_production_from_the_office_only() {
    let text = documented("night-watch");
    let away = principal(&text, Role::Operator);
    let office = principal(&text.replace("10.20.0.0/16", "127.0.0.0/8"), Role::Operator);
    use Environment::{Production, Staging};
    assert!(!may(&away, Permission::DeployProduction, "shop", Production), "not in the office");
    assert!(may(&away, Permission::Deploy, "shop", Staging), "staging from anywhere");
    assert!(may(&office, Permission::DeployProduction, "shop", Production));
    assert!(may(&office, Permission::Secrets, "shop", Production));
    for permission in [Permission::Read, Permission::Deploy, Permission::Secrets] {
        assert!(!may(&office, permission, "payments-eu", Staging), "{permission:?}");
    }
    let unknown = AccessTarget::Service(&"shop".parse().expect("a name"), Production);
    assert!(office.require(Permission::DeployProduction, &acme(), unknown, "unknown").is_err(), "from nowhere");
    assert!(
        office.require(Permission::Access, &acme(), AccessTarget::Tenant, "127.0.0.1").is_err(),
        "beyond the ceiling"
    );
}

#[test]
fn no_policy_gives_more_than_the_ceiling_another_tenant_or_the_host() {
    let everything = "permit (principal, action, resource);";
    for ceiling in Role::ALL {
        let by = principal(everything, ceiling);
        for permission in Permission::ALL.iter().copied() {
            let shop = "shop".parse().expect("a name");
            let about = AccessTarget::Service(&shop, Environment::Dev);
            let allowed = by.require(permission, &acme(), about, "local").is_ok();
            assert_eq!(
                allowed,
                ceiling >= permission.role() && !permission.is_of_the_host(),
                "{ceiling:?} {permission:?}"
            );
        }
        let other = "other".parse().expect("a name");
        assert!(by.require(Permission::Read, &other, AccessTarget::Tenant, "local").is_err());
        let host = Principal { tenant: TenantId::system(), ..by };
        assert!(host.require(Permission::Backup, &TenantId::system(), AccessTarget::Tenant, "local").is_err());
        assert!(host.require(Permission::Read, &acme(), AccessTarget::Tenant, "local").is_err());
    }
    let by = principal("", Role::Admin);
    assert!(!may(&by, Permission::Read, "shop", Environment::Dev), "nothing is permitted that no policy permits");
}

#[test]
fn who_has_a_custom_role_gives_that_one_and_no_other() {
    let by = principal("permit (principal, action, resource);", Role::Admin);
    assert!(by.may_give(&"tester".parse().expect("a name"), Role::Admin).is_ok());
    assert!(by.may_give(&"another".parse().expect("a name"), Role::Viewer).is_err());
    assert!(by.may_give(&TokenRole::BuiltIn(Role::Viewer), Role::Viewer).is_err());
    let operator = Principal { custom: Vec::new(), role: Role::Operator, ..by };
    assert!(operator.may_give(&"another".parse().expect("a name"), Role::Operator).is_ok());
    assert!(operator.may_give(&"another".parse().expect("a name"), Role::Admin).is_err());
}

#[test]
fn who_is_bounded_by_two_roles_may_do_what_both_permit() {
    let deploys =
        "permit (principal, action, resource) when { resource is Component && resource.name like \"shop-*\" };";
    let first = principal(deploys, Role::Operator);
    let second = principal(&deploys.replace("shop-*", "*-eu"), Role::Developer);
    let custom = first.custom.iter().chain(&second.custom).cloned().collect();
    let both = Principal { custom, role: Role::Developer, ..first };
    let deploy = |component| may(&both, Permission::Deploy, component, Environment::Staging);
    assert!(deploy("shop-eu"));
    assert!(!deploy("shop-us") && !deploy("blog-eu"));
}

#[test]
fn policies_may_ask_who_it_is() {
    let policy = r#"permit (principal, action == Action::"read", resource)
        when { principal has user && principal.user == "ada" };"#;
    let ada = principal(policy, Role::Viewer);
    assert!(may(&ada, Permission::Read, "shop", Environment::Dev));
    let bob = Principal { user_id: Some("bob".into()), ..ada };
    assert!(!may(&bob, Permission::Read, "shop", Environment::Dev));
}

#[test]
fn what_is_wrong_with_a_policy_is_told_with_its_place() {
    let (code, told) = refused("permit (principal, action, resource);\npermit (principal, action resource);");
    assert_eq!(code, Code::BadInput);
    assert!(told.contains("line 2, column 27"), "{told}");
    let (_, told) = refused("permit (\n  principal,\n  action == Action::\"destroy\",\n  resource\n);");
    assert!(told.contains("line 3, column") && told.contains("destroy"), "{told}");
    let (_, told) =
        refused("permit (principal, action == Action::\"deploy\", resource)\nwhen { resource.colour == \"red\" };");
    assert!(told.contains("line 2, column 8") && told.contains("colour"), "{told}");
    // Not there for a tenant, and so refused before it could fail.
    let (_, told) =
        refused("permit (principal, action == Action::\"read\", resource) when { resource.name == \"a\" };");
    assert!(told.contains("name"), "{told}");
    for host in ["tenants", "backup"] {
        assert!(refused(&format!("permit (principal, action == Action::\"{host}\", resource);")).1.contains(host));
    }
    assert!(refused("permit (principal == ?principal, action, resource);").1.contains("templates"));
}

#[test]
fn policies_have_a_bound_and_at_the_bound_are_few() {
    let policy = "permit (principal, action == Action::\"deploy\", resource) when { resource.name like \"shop-*\" };\n";
    let many = policy.repeat(POLICY_BYTES_MAX / policy.len());
    assert_eq!(refused(&format!("{many}{}", " ".repeat(policy.len()))).0, Code::TooLarge);
    let by = principal(&many, Role::Operator);
    assert!(!may(&by, Permission::Deploy, "blog", Environment::Dev));
    assert!(may(&by, Permission::Deploy, "shop-eu", Environment::Dev));
    // A request costs an evaluation of each policy, of which there are so many at most.
    let shortest = "permit(principal,action,resource);";
    let policies = read_policies(&shortest.repeat(POLICY_BYTES_MAX / shortest.len())).expect("they are good");
    let count = policies.policies().count();
    assert!(count < 500, "{count} policies");
}

#[test]
fn policies_are_nested_as_deeply_as_a_stack_bears() {
    let nested = |times: usize, open: &str, inner: &str, close: &str| {
        format!("permit (principal, action, resource) when {{ {}{inner}{} }};", open.repeat(times), close.repeat(times))
    };
    // Policies up to the limit are read, asked and dropped; one more than that is not read at all.
    for (most, open, inner, close) in [
        (31, "(", "true", ")"),
        (32, "if true then ", "true", " else false"),
        (250, "true && ", "true", ""),
        (498, "1 + ", "1 == 1", ""),
        (31, "[", "1", "]"),
        (500, "", "context", ".a"),
    ] {
        let policy = nested(most, open, inner, close);
        if let Ok(policies) = read_policies(&policy) {
            let role = CustomRole { definition: definition(&policy, Role::Admin), policies };
            let by = Principal { custom: vec![Arc::new(role)], ..principal("", Role::Admin) };
            may(&by, Permission::Read, "shop", Environment::Dev);
        } else {
            assert!(!refused(&policy).1.contains("make several"), "{open}");
        }
        let (code, told) = refused(&nested(most + 1, open, inner, close));
        assert!(code == Code::BadInput && told.contains("make several"), "{open}: {told}");
    }
    let (_, told) = refused(&nested(500, "", "context", ".a"));
    assert!(told.contains("attribute"), "as much as is allowed is validated too: {told}");
    // Strings and comments are as they are.
    let text = format!(
        "// {}\npermit (principal, action, resource) when {{ \"\\\"{}\" == \"\" }};",
        "(".repeat(99),
        "(".repeat(99)
    );
    assert!(read_policies(&text).is_ok(), "{text}");
}
