//! Drafts: revisions, bounds and tenants.

use super::*;
use elias_api::{Code, DRAFTS_MAX};
use std::collections::BTreeMap;

pub(super) async fn drafts_have_revisions_and_are_bounded(TestStore { store, .. }: &TestStore) {
    let (a, host) = (create_tenant(store, "a").await, Actor::host());
    let name = |name: &str| name.parse::<ComponentName>().expect("a name");
    let files = |text: &str| BTreeMap::from([("src/index.ts".to_owned(), text.to_owned())]);
    let mut scope = store.write(&a).await.expect("a scope");
    let first = scope.save_draft(&name("shop"), &files("one"), None, &host).await.expect("saved").expect("it is new");
    assert_eq!(scope.save_draft(&name("shop"), &files("x"), None, &host).await.expect("no error"), None, "it is there");
    // A text may have what a column of PostgreSQL cannot.
    let odd = scope.save_draft(&name("shop"), &files("a\0b"), Some(&first), &host).await.expect("saved");
    let second = odd.expect("nobody else saved it");
    assert_eq!((second.revision, second.created_at), (2, first.created_at));
    assert_eq!(
        scope.save_draft(&name("shop"), &files("x"), Some(&first), &host).await.expect("no error"),
        None,
        "stale"
    );
    assert_eq!(scope.draft(&name("shop")).await.expect("read"), Some(second));
    for number in 1..DRAFTS_MAX {
        scope.save_draft(&name(&format!("d{number}")), &files(""), None, &host).await.expect("within the bound");
    }
    let over = scope.save_draft(&name("one-more"), &files(""), None, &host).await;
    assert_eq!(over.expect_err("one too many").code(), Code::QuotaExceeded);
    scope.delete_draft(&name("one-more"), None, &host).await.expect("it is there until the end of the transaction");
    let listed = scope.drafts().await.expect("read");
    assert_eq!((listed.len(), listed[0].files, listed[0].draft.as_str()), (DRAFTS_MAX as usize, 1, "d1"));
    assert_eq!(scope.delete_draft(&name("shop"), Some(1), &host).await.expect_err("stale").code(), Code::Stale);
    scope.commit().await.expect("committed");
    let mut scope = store.write(&create_tenant(store, "b").await).await.expect("a scope");
    assert!(scope.drafts().await.expect("read").is_empty(), "another tenant's");
    assert_eq!(scope.delete_draft(&name("shop"), None, &host).await.expect_err("none").code(), Code::NotFound);
}
