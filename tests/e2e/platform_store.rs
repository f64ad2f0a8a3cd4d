//! A platform and its store: one that is not there, another one, one that is full, hosts that share one; and what is
//! moved out of it and into it.

use elias_tests::answering::{answering, answers};
use elias_tests::platform::{Platform, until};
use elias_tests::services::Postgres;
use elias_tests::tenant::{Tenant, service};
use elias_tests::terminal::Terminal;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The store's files in the data directory.
const FILES: [&str; 3] = ["platform.sqlite", "platform.sqlite-wal", "platform.sqlite-shm"];

/// Moves the store's files; some need not be there.
fn move_store(from: &Path, to: &Path) {
    for name in FILES {
        let _ = std::fs::rename(from.join(name), to.join(name));
    }
}

/// The finding of `elias doctor` about a subject.
async fn finding(platform: &Platform, subject: &str) -> (bool, String) {
    let (status, doctor) = platform.admin("GET", "/v1/doctor", Value::Null).await;
    assert_eq!(status, 200, "{doctor}");
    let items = doctor["items"].as_array().expect("findings");
    let one = items.iter().find(|one| one["subject"] == subject).unwrap_or_else(|| panic!("{subject}: {doctor}"));
    (one["good"] == true, one["detail"].as_str().expect("a detail").to_owned())
}

/// Whether a platform that must not start says why.
fn refuses(platform: &Platform, code: &str) -> String {
    let output = platform.second();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("error[{code}]")) && said.contains("--abandon-former-store"), "{said}");
    said
}

#[tokio::test]
async fn a_platform_whose_store_is_not_where_it_was_does_not_start_and_forgets_nothing() {
    let mut platform = Platform::start(&[]);
    platform.default_tenant().serve("shop", answering(), answers("one")).await;
    let known = platform.data("services/default/shop.production.json");
    let (data, aside) = (platform.data(""), tempfile::tempdir().expect("a folder"));
    platform.kill();
    move_store(&data, aside.path());
    refuses(&platform, "store-missing");
    assert!(known.exists() && !data.join(FILES[0]).exists(), "nothing is deleted, and nothing made");

    // Another platform's, by mistake.
    let mut other = Platform::start(&[]);
    other.default_tenant().serve("blog", answering(), answers("another")).await;
    other.kill();
    for name in FILES {
        let _ = std::fs::copy(other.data(name), data.join(name));
    }
    refuses(&platform, "store-mismatch");
    assert!(known.exists());

    for name in FILES {
        let _ = std::fs::remove_file(data.join(name));
    }
    move_store(aside.path(), &data);
    platform.restart();
    assert_eq!(platform.default_tenant().get("shop", "/").await.body, "one", "as it was");

    // An operator who gives it up says so, and can still go back.
    platform.kill();
    move_store(&data, aside.path());
    platform.restart_with(&["--abandon-former-store"]);
    assert_eq!(platform.default_tenant().get("shop", "/").await.status, 404);
    let former = std::fs::read_dir(&data).expect("ours").flatten().map(|entry| entry.path());
    let former =
        former.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("former.")));
    let former: Vec<_> = former.collect();
    assert!(former.len() == 1 && former[0].join("services/default/shop.production.json").exists(), "{former:?}");
    platform.restart_with(&[]);
    platform.default_tenant().serve("shop", answering(), answers("new")).await;
    assert_eq!(platform.default_tenant().get("shop", "/").await.body, "new");
}

#[tokio::test]
async fn what_a_store_that_was_put_back_does_not_know_goes_on_serving() {
    let mut platform = Platform::start(&[]);
    platform.default_tenant().serve("old", answering(), answers("old")).await;
    platform.kill();
    let (data, earlier) = (platform.data(""), tempfile::tempdir().expect("a folder"));
    for name in FILES {
        let _ = std::fs::copy(data.join(name), earlier.path().join(name));
    }
    platform.restart();
    platform.default_tenant().serve("young", answering(), answers("young")).await;
    let gone = platform.new_tenant("gone", json!({})).await;
    gone.serve("shop", answering(), answers("gone")).await;
    platform.kill();
    for name in FILES {
        let _ = std::fs::remove_file(data.join(name));
    }
    move_store(earlier.path(), &data);
    platform.restart();
    let team = platform.default_tenant();
    assert_eq!((team.get("old", "/").await.body, team.get("young", "/").await.body), ("old".into(), "young".into()));
    let (good, said) = finding(&platform, "services").await;
    assert!(!good && said.contains("default/young") && said.contains("does not know"), "{said}");
    platform.logged("the store does not have this service").await;
    platform.restart();
    let team = platform.default_tenant();
    assert_eq!(team.get("young", "/").await.body, "young", "also after the next start");
    // Deployed again it is the store's, and what the store knows to be deleted ends.
    team.serve("young", answering(), answers("again")).await;
    assert_eq!(team.get("young", "/").await.body, "again");
    platform.new_tenant("gone", json!({})).await.serve("shop", answering(), answers("gone")).await;
    assert_eq!(platform.admin("DELETE", "/v1/tenants/gone", Value::Null).await.0, 204);
    assert_eq!(platform.ask("shop.gone.localhost", "/").await.status, 404);
    assert!(!platform.data("services/gone/shop.production.json").exists());
}

#[tokio::test]
async fn a_store_that_is_removed_while_the_host_runs_takes_no_deployment_and_what_serves_goes_on() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    team.version("shop", answering(), answers("two")).await;
    let deployments = service("shop", "production", "/deployments");
    let (data, aside) = (platform.data(""), tempfile::tempdir().expect("a folder"));
    let refused = async |what: &str| {
        let (code, _) = team.refused("POST", &deployments, json!({ "version": 2 })).await;
        assert_eq!(code, "store-unavailable", "{what}");
        let (good, said) = finding(&platform, "store").await;
        assert!(!good && said.contains("platform.sqlite") && said.contains(what), "{said}");
        assert_eq!(team.get("shop", "/").await.body, "one");
    };
    move_store(&data, aside.path());
    refused("removed").await;
    for name in FILES {
        let _ = std::fs::copy(aside.path().join(name), data.join(name));
    }
    refused("replaced").await;
    move_store(aside.path(), &data);
    team.deploy("shop", "production", 2, Value::Null).await;
    assert_eq!(team.get("shop", "/").await.body, "two");
    assert!(finding(&platform, "store").await.0);
}

#[tokio::test]
async fn on_a_full_disk_the_client_is_told_so_and_with_room_the_first_request_works() {
    let Some(mut platform) = Platform::start_on_small_disk(32) else { return };
    platform.default_tenant().serve("shop", answering(), answers("one")).await;
    let ballast = platform.data("ballast");
    for round in 0..2_u8 {
        let team = platform.default_tenant();
        // Whatever is left, byte by byte at the end.
        let mut file = std::fs::File::create(&ballast).expect("ours");
        for chunk in [1 << 20, 4096, 1] {
            while std::io::Write::write_all(&mut file, &vec![0; chunk]).is_ok() {}
        }
        drop(file); // what is open keeps its room when it is removed
        let bytes = vec![round; 2 << 20];
        let digest = elias_contract::digest(&bytes);
        for _ in 0..10 {
            let answer = team.put_artifact(&digest, &bytes).await;
            assert_eq!((answer.status, answer.code().as_str()), (507, "no-space-left"), "{answer:?}");
            assert!(answer.body.contains("make room"), "{answer:?}");
            let (status, _) =
                team.ask("POST", &service("shop", "production", "/deployments"), json!({ "version": 1 })).await;
            assert!(status >= 500 || status == 201, "{status}");
            assert_eq!(team.get("shop", "/").await.body, "one");
        }
        let (good, said) = finding(&platform, "data directory").await;
        assert!(!good && said.contains("no-space-left"), "{said}");
        std::fs::remove_file(&ballast).expect("ours");
        for number in 0..10_u8 {
            let bytes = [round, number, 7];
            let digest = team.upload(&bytes).await;
            let request = http::Request::head("/").header("authorization", format!("Bearer {}", team.token));
            let there = platform.call(request, &team.path(&format!("/artifacts/{digest}")), "").await;
            assert_eq!(there.status, 204, "what was acknowledged is there: {number}");
        }
        team.serve("shop", answering(), answers("one")).await;
        assert!(finding(&platform, "store").await.0);
    }
    platform.restart();
    assert_eq!(platform.default_tenant().get("shop", "/").await.body, "one");
}

#[tokio::test]
async fn the_data_directory_is_its_owners_and_made_so_where_it_was_not() {
    let mut platform = Platform::start(&[]);
    platform.default_tenant().serve("shop", answering(), answers("one")).await;
    let open = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o077;
    let artifact = platform.artifact(&elias_contract::digest(answering()));
    let paths = [platform.data(""), platform.data("platform.sqlite"), platform.data("platform.sqlite-wal"), artifact];
    assert_eq!(paths.each_ref().map(|path| open(path)), [0; 4]);
    assert_eq!(
        finding(&platform, "file modes").await,
        (true, "files and folders are for their owner alone".to_owned())
    );
    for path in &paths {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("ours");
    }
    let (good, said) = finding(&platform, "file modes").await;
    assert!(!good && said.contains("4 files and folders"), "{said}");
    platform.restart();
    assert_eq!(paths.each_ref().map(|path| open(path)), [0; 4], "as an earlier release had it");
    assert!(finding(&platform, "file modes").await.0);
}

/// Waits until a host answers this.
async fn answered(team: &Tenant<'_>, text: &str) {
    until(&format!("the answer is {text}"), async || (team.get("shop", "/").await.body == text).then_some(())).await;
}

#[tokio::test]
async fn of_two_rollbacks_without_the_store_each_is_in_the_audit_trail_by_who_made_it() {
    let postgres = Postgres::start();
    let first = Platform::start(&["--store", &postgres.url()]);
    let second = Platform::start(&["--store", &postgres.url()]);
    // Both have artifacts of their own, which is said.
    second.logged("do not share their artifacts").await;
    let (here, there) = (first.default_tenant(), second.default_tenant());
    there.upload(answering()).await;
    for text in ["one", "two", "three"] {
        here.serve("shop", answering(), answers(text)).await;
        answered(&there, text).await;
    }
    let ada = here.with_role("operator", None).await;
    let mut bo = there.clone();
    bo.token = here.with_role("operator", None).await.token;
    let id = |tenant: &Tenant<'_>| tenant.token.split('_').nth(1).expect("tokens have an id").to_owned();
    // Each host has seen its token.
    for tenant in [&ada, &bo] {
        tenant.status("shop").await;
    }
    postgres.stop();
    let rollback = service("shop", "production", "/rollback");
    let one = ada.done("POST", &rollback, json!({ "to": 2 })).await;
    let other = bo.done("POST", &rollback, json!({ "to": 1 })).await;
    answered(&here, "two").await;
    answered(&there, "one").await;
    postgres.restart();
    let told = async || {
        let told = |status: Value| status["pending"] == false;
        (told(here.status("shop").await) && told(there.status("shop").await)).then_some(())
    };
    until("the store is told", told).await;
    let serves = here.status("shop").await["release"]["version"].clone();
    let audit = here.done("GET", "/audit?limit=1000", Value::Null).await;
    let lines = audit["items"].as_array().expect("lines");
    let line = |action: &str| {
        lines.iter().find(|line| line["action"] == action).unwrap_or_else(|| panic!("{action}: {audit}"))
    };
    let (stands, discarded) = (line("deployment.rollback"), line("deployment.rollback-discarded"));
    let first_stands = serves == 2;
    let (winner, loser) = if first_stands { (&ada, &bo) } else { (&bo, &ada) };
    assert_eq!((&stands["actor"]["name"], &discarded["actor"]["name"]), (&json!(id(winner)), &json!(id(loser))));
    let lost = if first_stands { &other } else { &one };
    assert_eq!(discarded["before"]["id"], lost["id"], "the deployment that was acknowledged");
    assert_eq!(audit["names"][id(winner)], "operator", "names are beside ids: {audit}");
    let discards = if first_stands { &second } else { &first };
    discards.logged("was discarded: another change was stored first").await;
    assert_eq!(here.get("shop", "/").await.body, there.get("shop", "/").await.body);
    // A component that is on the other's disk only answers 503, and the log says why.
    let own = elias_tests::build::component("export default { fetch: () => new Response('apart') };");
    here.serve("apart", &own, json!({})).await;
    until("the other host knows of it", async || (there.get("apart", "/").await.status == 503).then_some(())).await;
    let log = second.logged("the component cannot be loaded").await;
    assert!(log.contains("artifact-missing"), "{log}");
}

/// Counts its requests in its database.
const COUNTING: &str = r#"
    import { db } from "elias/db";
    export default { async fetch() {
        await db.query("create table if not exists counts (number integer)");
        await db.query("insert into counts values ((select count(*) from counts) + 1)");
        return new Response(String((await db.first("select max(number) as number from counts")).number));
    } };
"#;

#[tokio::test]
async fn components_databases_are_looked_into_backed_up_and_restored() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve(
        "counting",
        &elias_tests::build::component(COUNTING),
        json!({ "capabilities": { "db": {} }, "smoke": { "path": "" } }),
    )
    .await;
    for number in 1..=3 {
        assert_eq!(team.get("counting", "/").await.body, number.to_string());
    }
    let terminal = Terminal::new();
    let data = platform.data("").display().to_string();
    let db = |more: &[&str]| terminal.output("", &[&["db", "counting", "--data-dir", &data], more].concat());
    let said = |output: &std::process::Output| {
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let rows = said(&db(&["select number, 'x' as x from counts order by number", "--limit", "2"]));
    assert!(rows.starts_with("number  x\n1       x\n2       x\n") && rows.contains("--limit 2"), "{rows}");
    assert!(said(&db(&[])).contains("CREATE TABLE counts"), "without a statement the tables");
    assert!(said(&db(&["select 1 as one", "--json"])).contains("\"one\": 1"));
    for statement in
        ["delete from counts", "insert into counts values (7) returning 1", "attach 'x' as y", "drop table counts"]
    {
        let refused = db(&[statement]);
        assert!(!refused.status.success(), "{statement}: {}", said(&refused));
    }
    assert!(said(&db(&["select 1", "--env", "staging"])).contains("not-found"));

    let url = format!("http://{}", platform.admin_address);
    terminal.types("", &["login", &url, "--data-dir", &data]);
    let archive = terminal.path("backup.tar").display().to_string();
    terminal.types("", &["backup", &archive]);
    assert_eq!(team.get("counting", "/").await.body, "4", "after the backup");
    let restored = terminal.path("restored").display().to_string();
    assert!(terminal.types("", &["restore", &archive, "--data-dir", &restored]).contains("1 databases"));
    let again = Platform::start_on(Path::new(&restored));
    assert_eq!(again.default_tenant().get("counting", "/").await.body, "4", "it goes on where the backup was");
}

#[tokio::test]
async fn a_platform_moves_from_sqlite_to_postgresql_and_serves_on() {
    let postgres = Postgres::start();
    let mut platform = Platform::start(&[]);
    platform.default_tenant().serve("shop", answering(), answers("one")).await;
    let terminal = Terminal::new();
    let (url, data) = (postgres.url(), platform.data("").display().to_string());
    let line = ["move-store", "--data-dir", &data, "--to", &url];
    let refused = terminal.output("", &line);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("in-use"), "{refused:?}");
    platform.kill();
    let said = terminal.types("", &line);
    assert!(said.contains("versions         1\n"), "{said}");
    refuses(&platform, "store-missing");
    platform.restart_with(&["--store", &url]);
    let team = platform.default_tenant();
    assert_eq!(team.get("shop", "/").await.body, "one");
    assert_eq!(team.serve("shop", answering(), answers("two")).await, 2);
    assert_eq!(team.get("shop", "/").await.body, "two");
}
