//! A host that loads only what the transparency log proves, and somebody who writes to its store.

use elias_contract::layout::append_custom_section;
use elias_tests::answering::{answering, answers};
use elias_tests::platform::{Platform, until};
use elias_tests::services::Postgres;
use elias_tests::tenant::Tenant;
use serde_json::json;

/// The response to a request to the component, and the reason why its component cannot be loaded.
async fn refused(team: &Tenant<'_>) -> String {
    let answer = team.get("shop", "/").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "unavailable"), "{answer:?}");
    let status = team.status("shop").await;
    let problem = status["release"]["problem"].as_str().unwrap_or_else(|| panic!("{status}"));
    assert!(problem.starts_with("not-in-log: version 1 of shop"), "{problem}");
    problem.to_owned()
}

#[tokio::test]
async fn what_was_changed_behind_the_hosts_back_is_not_loaded_and_the_neighbours_serve_on() {
    let postgres = Postgres::start();
    let mut platform = Platform::start(&["--require-log", "--store", &postgres.url()]);
    let mut another = answering().to_vec();
    append_custom_section(&mut another, "more", b"code of somebody else");
    let digest = elias_contract::digest(answering());
    {
        let team = platform.default_tenant();
        team.serve("shop", answering(), answers("one")).await;
        team.serve("blog", answering(), answers("blog")).await;
        team.upload(&another).await;
    }
    let set = async |column: &str, value: &str| {
        postgres.sql(&format!("UPDATE versions SET {column} = {value} WHERE component = 'shop'")).await;
    };
    for (column, forged, what) in [
        ("digest", format!("'{}'", elias_contract::digest(&another)), "another digest for it"),
        ("settings", "replace(settings, 'one', 'forged')".to_owned(), "another digest of the settings"),
        ("log_index", "1".to_owned(), "another component for it"),
    ] {
        // The proof on the disk says what was accepted; without it, the log does.
        for keeps_proof in [true, false] {
            set(column, &forged).await;
            if !keeps_proof {
                std::fs::remove_dir_all(platform.data("proofs/default")).expect("it was there");
            }
            platform.restart();
            let team = platform.default_tenant();
            if column == "log_index" && keeps_proof {
                assert_eq!(team.get("shop", "/").await.body, "one", "its proof says where it is");
            } else {
                let problem = refused(&team).await;
                assert!(problem.contains(what), "{column}: {problem}");
                platform
                    .logged("the version will not be loaded: its entry in the transparency log cannot be verified")
                    .await;
            }
            assert_eq!(team.get("blog", "/").await.body, "blog", "the neighbour serves on");
            set("digest", &format!("'{digest}'")).await;
            set("settings", "replace(settings, 'forged', 'one')").await;
            set("log_index", "0").await;
            platform.restart();
            assert_eq!(platform.default_tenant().get("shop", "/").await.body, "one", "once it is as it was accepted");
        }
    }

    // While the store is away, the proofs on the disk are enough.
    postgres.stop();
    platform.restart();
    assert_eq!(platform.default_tenant().get("shop", "/").await.body, "one");
    postgres.restart();
    until("it follows the store", async || {
        let made = platform.default_tenant().ask("GET", "/components", json!(null)).await;
        (made.0 == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_log_that_lost_an_entry_or_is_another_proves_nothing() {
    let postgres = Postgres::start();
    let mut platform = Platform::start(&["--require-log", "--store", &postgres.url()]);
    {
        let team = platform.default_tenant();
        team.serve("shop", answering(), answers("one")).await;
        team.serve("blog", answering(), answers("blog")).await;
    }
    let forget = |platform: &Platform| std::fs::remove_dir_all(platform.data("proofs/default")).expect("it was there");

    postgres.sql("CREATE TABLE aside AS SELECT * FROM log_records WHERE position = 0").await;
    postgres.sql("DELETE FROM log_records WHERE position = 0").await;
    forget(&platform);
    platform.restart();
    let problem = refused(&platform.default_tenant()).await;
    assert!(problem.contains("the log in the store does not contain its entry"), "{problem}");
    assert_eq!(platform.default_tenant().get("blog", "/").await.body, "blog");

    // An entry that is rewritten is in no tree that was signed.
    postgres.sql("INSERT INTO log_records SELECT position, replace(record, 'shop', 'shoq') FROM aside").await;
    platform.restart();
    let problem = refused(&platform.default_tenant()).await;
    assert!(problem.contains("not proved"), "{problem}");
    postgres.sql("UPDATE log_records SET record = (SELECT record FROM aside) WHERE position = 0").await;
    platform.restart();
    assert_eq!(platform.default_tenant().get("shop", "/").await.body, "one");

    // A log with less than this host saw, as an older backup has, is another.
    postgres.sql("UPDATE counters SET value = 1 WHERE name = 'log'").await;
    forget(&platform);
    platform.restart();
    let problem = refused(&platform.default_tenant()).await;
    assert!(problem.contains("not the one that this host saw with 2 entries"), "{problem}");
}
