//! The runner on a real store, with workers that are functions: nothing that was answered is lost or done twice.

mod canary;
mod events;
mod fake;
mod hosts;
mod trees;

use super::store::{PlatformWorkerStore, StoreParts};
use super::versions::HeapVersion;
use super::{MessageId, WorkerCallFrom, WorkerParts, WorkerRunner};
use crate::artifacts::Artifacts;
use crate::test_store;
use crate::vault::Vault;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use elias_api::{Quotas, WorkerFilter};
use elias_capabilities::Cause;
use elias_local_workers::{CallError, CallErrorCode, HeapCommit, StoreError, WorkerCommit, WorkerRecord, WorkerStore};
use elias_names::{Digest, Environment, ServiceId, TenantId};
use elias_store::{STORE_FILE, Store};
use elias_workers::WorkerKey;
use elias_workers::config::{Balance, Durability, GroupConfig, MailboxConfig, WorkersConfig};
use fake::FakeServices;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long something may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// 32 bytes in Base64.
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

struct Bench {
    store: Store,
    services: Arc<FakeServices>,
    folder: tempfile::TempDir,
}

fn shop() -> ServiceId {
    ServiceId {
        tenant: "acme".parse().expect("a name"),
        component: "shop".parse().expect("a name"),
        environment: Environment::Production,
    }
}

fn counter(name: &str) -> WorkerKey {
    WorkerKey::new("Counter", name)
}

async fn bench() -> Bench {
    let (store, folder) = test_store::sqlite();
    bench_on(store, folder).await
}

async fn bench_on(store: Store, folder: tempfile::TempDir) -> Bench {
    test_store::create_tenant(&store, &shop().tenant).await;
    std::fs::create_dir(folder.path().join("artifacts")).expect("a folder");
    Bench { store, services: Arc::default(), folder }
}

impl Bench {
    fn artifacts(&self) -> Artifacts {
        let folder = Dir::open_ambient_dir(self.folder.path().join("artifacts"), ambient_authority());
        Artifacts::open(folder.expect("a folder"), None).expect("they open")
    }

    /// A runner of a process, `HOST/RUN`.
    fn runner(&self, owner: &str) -> Arc<WorkerRunner> {
        self.runner_with_key(owner, KEY)
    }

    fn runner_with_key(&self, owner: &str, key: &str) -> Arc<WorkerRunner> {
        let parts = WorkerParts {
            store: self.store.clone(),
            artifacts: self.artifacts(),
            vault: Arc::new(Vault::of(key).expect("a key")),
            owner: owner.to_owned(),
            awake: 16,
        };
        WorkerRunner::new(parts, Arc::clone(&self.services) as _)
    }

    /// The store of the service's workers, as a process has it.
    fn workers(&self, parts: &Arc<StoreParts>) -> PlatformWorkerStore {
        PlatformWorkerStore::new(Arc::clone(parts), shop(), Arc::default())
    }

    fn events(&self) -> Vec<&'static str> {
        self.services.events.lock().iter().map(|(event, _)| *event).collect()
    }
}

async fn call(runner: &WorkerRunner, name: &str, method: &str) -> Result<String, CallError> {
    let (key, method, cause) = (counter(name), Some(method.to_owned()), Cause::default());
    runner.call(&shop(), WorkerCallFrom { id: MessageId::Unique(None), key, method, value: String::new(), cause }).await
}

async fn add(runner: &WorkerRunner, name: &str) -> String {
    call(runner, name, "add").await.expect("an answer")
}

/// Has the worker `a` count a message that may come again with this id.
async fn add_once(runner: &WorkerRunner, id: &str) -> Result<String, CallError> {
    let id = MessageId::Repeating(id.to_owned());
    let (key, method, cause) = (counter("a"), Some("add".to_owned()), Cause::default());
    runner.ready(&shop()).await?;
    runner.call(&shop(), WorkerCallFrom { id, key, method, value: String::new(), cause }).await
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "waited for: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A commit of a worker's turn with a heap of these bytes.
fn commit(name: &str, epoch: u64, turn: u64, heap: Vec<u8>) -> WorkerCommit {
    let mut record = WorkerRecord::new(counter(name));
    record.turns = turn;
    WorkerCommit { epoch, record, heap: HeapCommit::Whole(heap), events: Vec::new() }
}

fn version() -> HeapVersion {
    HeapVersion { number: 1, digest: Digest::of(b"a component") }
}

/// Acquires a worker, whose heap belongs to [`version`] from here on; gives its epoch.
async fn acquire(store: &PlatformWorkerStore, name: &str) -> u64 {
    let acquired = store.acquire(&counter(name)).await.expect("acquired");
    store.set_version(&counter(name), version());
    acquired.epoch
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_after_the_host_has_gone() {
    let bench = bench().await;
    let first = bench.runner("one/1");
    first.start();
    for wanted in ["1", "2", "3"] {
        assert_eq!(add(&first, "a").await, wanted);
    }
    assert_eq!(add(&first, "b").await, "1");
    // Without warning: its lease lasts on, and the next process of the host ends it.
    drop(first);
    let second = bench.runner("one/2");
    second.start();
    until("the workers are free", async || call(&second, "a", "add").await.is_ok()).await;
    assert_eq!(add(&second, "a").await, "5");
    assert_eq!(add(&second, "b").await, "2");
    assert!(bench.events().contains(&"worker.started"), "{:?}", bench.events());
    let listed = second.list(&shop(), &WorkerFilter::default(), None, 10).await.expect("a list");
    let names: Vec<_> = listed.iter().map(|status| (status.name.as_str(), status.turns > 0)).collect();
    assert_eq!(names, [("a", true), ("b", true)]);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_stopped_is_forgotten_and_begins_anew() {
    let bench = bench().await;
    let runner = bench.runner("one/1");
    runner.start();
    assert_eq!(add(&runner, "a").await, "1");
    assert!(runner.stop_worker(&shop(), &counter("a"), json!("test")).await.expect("stopped"));
    assert!(runner.status(&shop(), &counter("a")).await.expect("a look").is_none());
    assert_eq!(add(&runner, "a").await, "1");
    assert!(!runner.stop_worker(&shop(), &counter("never"), json!("test")).await.expect("asked"), "there is none");
    let is_told_of_never = bench.services.events.lock().iter().any(|(_, data)| data["name"] == "never");
    assert!(!is_told_of_never, "{:?}", bench.events());
    runner.restart_worker(&shop(), &counter("a"), json!("test")).await.expect("restarted");
    assert_eq!(add(&runner, "a").await, "1");
    for event in ["worker.started", "worker.stopped", "worker.restarted"] {
        assert!(bench.events().contains(&event), "{event}: {:?}", bench.events());
    }
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_to_have_the_name_of_a_worker_leaves_that_one_as_it_is() {
    let bench = bench().await;
    let runner = bench.runner("one/1");
    runner.start();
    assert_eq!((add(&runner, "a").await, add(&runner, "b").await), ("1".to_owned(), "1".to_owned()));
    let refused = runner.fork(&shop(), &counter("a"), None, "b").await.expect_err("it is there");
    assert_eq!(refused.code(), elias_api::Code::AlreadyThere, "{refused}");
    assert_eq!(add(&runner, "b").await, "2", "its turn is not lost");
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_cannot_have_the_name_of_a_group_which_gets_its_messages() {
    let bench = bench().await;
    let pool = GroupConfig { name: "pool".into(), class: "Counter".into(), size: 2, balance: Balance::default() };
    bench.services.configure(WorkersConfig { group: vec![pool], ..WorkersConfig::default() }, 1);
    let runner = bench.runner("one/1");
    runner.start();
    assert_eq!(add(&runner, "a").await, "1");
    for name in ["pool", "pool/user-42"] {
        let refused = runner.fork(&shop(), &counter("a"), None, name).await.expect_err("it is a group's");
        assert_eq!(refused.code(), elias_api::Code::BadInput, "{name}: {refused}");
        assert!(refused.to_string().contains("a member of the group `pool`"), "{refused}");
        assert!(runner.status(&shop(), &counter(name)).await.expect("a look").is_none(), "{name}");
    }
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_of_a_version_that_is_deployed_later_get_their_messages() {
    let bench = bench().await;
    let runner = bench.runner("one/1");
    assert_eq!(call(&runner, "pool", "name").await.as_deref(), Ok("pool"));
    let pool = GroupConfig { name: "pool".into(), class: "Counter".into(), size: 1, balance: Balance::default() };
    bench.services.configure(WorkersConfig { group: vec![pool], ..WorkersConfig::default() }, 2);
    assert_eq!(call(&runner, "pool", "name").await.as_deref(), Ok("pool#1"));
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_in_which_a_handler_waited_is_not_copied_also_when_that_is_over() {
    let bench = bench().await;
    let runner = bench.runner("one/1");
    let store = bench.workers(&runner.parts);
    let epoch = acquire(&store, "a").await;
    for turn in 1..=3 {
        let mut next = commit("a", epoch, turn, vec![turn as u8]);
        if turn == 2 {
            let mut record = serde_json::to_value(&next.record).expect("a record");
            let timers = record["timers"].clone();
            record["waiting"] = json!({ "id": "1", "timers": timers, "calls": {}, "restorable_turn": 1 });
            next.record = serde_json::from_value(record).expect("a record");
        }
        store.commit(next).await.expect("committed");
    }
    store.release(&counter("a"), epoch).await.expect("released");
    let refused = runner.fork(&shop(), &counter("a"), Some(2), "copy").await.expect_err("its promise never settles");
    assert_eq!(refused.code(), elias_api::Code::WrongState, "{refused}");
    assert!(refused.to_string().contains("in turn 2") && refused.to_string().contains("such as 1"), "{refused}");
    for at in [Some(1), Some(3), None] {
        // The heaps of this test are none of a component, which is found out later.
        let refused = runner.fork(&shop(), &counter("a"), at, "copy").await.expect_err("it is no heap");
        assert_ne!(refused.code(), elias_api::Code::WrongState, "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_followed_and_a_service_that_is_stopped_takes_nothing() {
    let bench = bench().await;
    let runner = bench.runner("one/1");
    runner.start();
    assert_eq!(call(&runner, "a", "release").await.as_deref(), Ok("1"));
    bench.services.deploy(2);
    assert_eq!(call(&runner, "a", "release").await.as_deref(), Ok("2"), "the worker goes on in what serves now");
    bench.services.stop(true);
    let refused = call(&runner, "a", "release").await.expect_err("it was stopped");
    assert_eq!(refused.code, CallErrorCode::Unavailable);
    assert!(refused.message.contains("elias start shop"), "{}", refused.message);
    bench.services.stop(false);
    until("it runs again", async || call(&runner, "a", "release").await.is_ok()).await;
    runner.stop().await;
    let ended = call(&runner, "a", "release").await.expect_err("the host ends");
    assert!(ended.message.contains("about to end"), "{}", ended.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_stores_its_workers_does_so_from_its_first_call_on() {
    let bench = bench().await;
    bench.services.set_durability(Durability::None);
    let runner = bench.runner("one/1");
    runner.start();
    let is_stored = async || {
        let mut scope = bench.store.read(&shop().tenant).await.expect("a scope");
        scope.worker(&shop(), &counter("a")).await.expect("a look").is_some()
    };
    assert_eq!((add(&runner, "a").await.as_str(), is_stored().await), ("1", false));
    bench.services.set_durability(Durability::Batch);
    assert_eq!((add(&runner, "a").await.as_str(), is_stored().await), ("1", true), "it begins anew, and lasts");
    assert_eq!(add(&runner, "a").await, "2");
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_another_version_hold_for_workers_that_are_in_memory() {
    let bench = bench().await;
    let runner = bench.runner("one/1");
    runner.start();
    assert_eq!(add(&runner, "a").await, "1");
    let spawn = |method: &'static str| {
        let runner = Arc::clone(&runner);
        tokio::spawn(async move { call(&runner, "a", method).await })
    };
    let status = async || runner.status(&shop(), &counter("a")).await.expect("a look").expect("it is there");
    let held = spawn("hold");
    until("its turn runs", async || status().await.condition == elias_api::WorkerCondition::Running).await;
    let mailbox = MailboxConfig { messages: 1, ..MailboxConfig::default() };
    bench.services.configure(WorkersConfig { mailbox, ..WorkersConfig::default() }, 2);
    let waiting = spawn("add");
    until("a message waits", async || status().await.messages == 1).await;
    let refused = call(&runner, "a", "add").await.expect_err("one message waits");
    assert_eq!(refused.code, CallErrorCode::MailboxFull, "{}", refused.message);
    held.abort();
    waiting.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_named_where_it_refuses() {
    let bench = bench().await;
    bench.services.set_quotas(Quotas { workers: 2, ..Quotas::default() });
    let runner = bench.runner("one/1");
    runner.start();
    assert_eq!((add(&runner, "a").await, add(&runner, "b").await), ("1".to_owned(), "1".to_owned()));
    let refused = call(&runner, "c", "add").await.expect_err("it would be the third");
    assert_eq!(refused.code, CallErrorCode::QuotaExceeded);
    let wanted = "the quota `workers` of tenant acme is 2: 2 are in use, and 1 more";
    assert!(refused.message.contains(wanted), "{}", refused.message);
    assert_eq!(add(&runner, "a").await, "2", "those that are there go on");
    bench.services.refuse(Some("the tenant acme has used up its quota fuel-per-hour of 5"));
    let refused = call(&runner, "a", "add").await.expect_err("no fuel");
    assert!(refused.code == CallErrorCode::QuotaExceeded && refused.message.contains("fuel-per-hour"), "{refused}");
    bench.services.refuse(None);
    let parts = Arc::clone(&runner.parts);
    bench.services.set_quotas(Quotas { worker_bytes: 1_000_000, ..Quotas::default() });
    let store = bench.workers(&parts);
    let epoch = acquire(&store, "large").await;
    let refused = store.commit(commit("large", epoch, 1, vec![7; 1_000_001])).await.expect_err("too large");
    assert!(matches!(refused, StoreError::QuotaExceeded(_)), "{refused}");
    assert!(refused.to_string().contains("the quota `worker-bytes` of tenant acme is 1000000"), "{refused}");
    store.commit(commit("large", epoch, 1, vec![7; 10])).await.expect("it fits");
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_heaps_are_artifacts_and_none_can_be_read_in_the_store() {
    let bench = bench().await;
    let runner = bench.runner("one/1");
    let store = bench.workers(&runner.parts);
    let epoch = acquire(&store, "a").await;
    let small = b"a text that is nobody else's".repeat(10);
    store.commit(commit("a", epoch, 1, small.clone())).await.expect("committed");
    let artifacts = || {
        let folders = std::fs::read_dir(bench.folder.path().join("artifacts")).expect("a folder");
        folders.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name() != "partial")).count()
    };
    assert_eq!(artifacts(), 0);
    let large = small.repeat(1_000);
    store.commit(commit("a", epoch, 2, large.clone())).await.expect("committed");
    assert_eq!(artifacts(), 1);
    assert_eq!(store.heap(&counter("a"), 2).await.expect("read"), large);
    assert_eq!(store.heap(&counter("a"), 1).await.expect("read"), small, "it is kept for a while");
    assert!(matches!(store.heap(&counter("a"), 3).await, Err(StoreError::NoSuchTurn(3))));
    store.release(&counter("a"), epoch).await.expect("released");
    for file in [STORE_FILE.to_owned(), format!("{STORE_FILE}-wal")] {
        let bytes = std::fs::read(bench.folder.path().join(file)).unwrap_or_default();
        let found = bytes.windows(20).any(|window| window == &small[..20]);
        assert!(!found, "a heap stands in the store as it is");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heap_with_a_flipped_byte_is_refused_and_the_turn_before_is_taken() {
    let bench = bench().await;
    let runner = bench.runner("one/1");
    let store = bench.workers(&runner.parts);
    let epoch = acquire(&store, "a").await;
    for turn in 1..=3 {
        store.commit(commit("a", epoch, turn, vec![turn as u8; 9])).await.expect("committed");
    }
    let flip = |turn: u64| {
        let file = rusqlite::Connection::open(bench.folder.path().join(STORE_FILE)).expect("a database");
        let select = "SELECT pages FROM worker_turns WHERE turn = ?1";
        let mut pages: Vec<u8> = file.query_row(select, [turn as i64], |row| row.get(0)).expect("pages");
        *pages.last_mut().expect("a byte") ^= 1;
        let update = "UPDATE worker_turns SET pages = ?2 WHERE turn = ?1";
        assert_eq!(file.execute(update, rusqlite::params![turn as i64, pages]).expect("updated"), 1);
    };
    flip(3);
    assert_eq!(store.heap(&counter("a"), 3).await.expect("the one before"), vec![2; 9]);
    let (event, data) = bench.services.events.lock().pop().expect("it is said");
    assert_eq!((event, &data["turn"], &data["former"]), ("worker.failed", &json!(3), &json!(2)));
    // From there it goes on, whole.
    let mut next = commit("a", epoch, 4, Vec::new());
    next.heap = HeapCommit::Unchanged;
    store.commit(next).await.expect("committed");
    assert_eq!(store.heap(&counter("a"), 4).await.expect("read"), vec![2; 9]);
    // A handler that is undone goes back to another turn, and on from that one.
    flip(4);
    assert_eq!(store.heap(&counter("a"), 4).await.expect("the one before"), vec![2; 9]);
    for (turn, heap) in [(5, HeapCommit::BackTo(1)), (6, HeapCommit::Unchanged)] {
        let next = WorkerCommit { heap, ..commit("a", epoch, turn, Vec::new()) };
        store.commit(next).await.expect("committed");
    }
    assert_eq!(store.heap(&counter("a"), 6).await.expect("read"), vec![1; 9]);
    for turn in [1, 2] {
        flip(turn);
    }
    assert!(matches!(store.heap(&counter("a"), 6).await, Err(StoreError::Damaged(_))), "nothing can be read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_record_has_a_flipped_byte_can_be_restarted() {
    let bench = bench().await;
    let runner = bench.runner("one/1");
    runner.start();
    assert_eq!(add(&runner, "a").await, "1");
    runner.stop().await;
    let file = rusqlite::Connection::open(bench.folder.path().join(STORE_FILE)).expect("a database");
    let mut record: Vec<u8> = file.query_row("SELECT record FROM workers", [], |row| row.get(0)).expect("a record");
    *record.last_mut().expect("a byte") ^= 1;
    assert_eq!(file.execute("UPDATE workers SET record = ?1", [record]).expect("updated"), 1);
    let runner = bench.runner("one/2");
    runner.start();
    let refused = call(&runner, "a", "add").await.expect_err("it is damaged");
    assert!(refused.code == CallErrorCode::Unavailable && refused.message.contains("restart"), "{refused}");
    runner.restart_worker(&shop(), &counter("a"), json!("test")).await.expect("restarted");
    assert_eq!(add(&runner, "a").await, "1");
    for event in ["worker.stopped", "worker.restarted"] {
        assert!(bench.events().contains(&event), "{event}: {:?}", bench.events());
    }
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_exchanged_reads_what_the_former_encrypted() {
    let bench = bench().await;
    let runner = bench.runner("one/1");
    let store = bench.workers(&runner.parts);
    let epoch = acquire(&store, "a").await;
    store.commit(commit("a", epoch, 1, vec![5; 9])).await.expect("committed");
    store.release(&counter("a"), epoch).await.expect("released");
    let other_key = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=";
    let tenant: TenantId = shop().tenant;
    let sealed = bench.store.read(&tenant).await.expect("a scope").data_key().await.expect("read").expect("a key");
    let vault = Vault::of(other_key).and_then(|vault| vault.with_former(KEY, "a test")).expect("keys");
    let resealed = vault.reseal_data_key(&tenant, &sealed).expect("encrypted").expect("it was by the former");
    let mut scope = bench.store.write(&tenant).await.expect("a scope");
    scope.exchange_data_key(&sealed, &resealed).await.expect("exchanged");
    scope.commit().await.expect("committed");
    let after = bench.runner_with_key("one/2", other_key);
    assert_eq!(bench.workers(&after.parts).heap(&counter("a"), 1).await.expect("read"), vec![5; 9]);
    let before = bench.runner_with_key("one/2", KEY);
    let refused = bench.workers(&before.parts).heap(&counter("a"), 1).await.expect_err("it is encrypted anew");
    assert!(refused.to_string().contains("ELIAS_SECRET_KEY_FORMER"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_again_is_handled_once_also_by_the_next_process() {
    let bench = bench().await;
    let first = bench.runner("one/1");
    first.start();
    assert_eq!(add_once(&first, "1").await.expect("an answer"), "1");
    add_once(&first, "1").await.expect("it was handled");
    drop(first);
    let second = bench.runner("one/2");
    second.start();
    until("the worker is free", async || add_once(&second, "1").await.is_ok()).await;
    assert_eq!(add_once(&second, "2").await.expect("an answer"), "2");
}
