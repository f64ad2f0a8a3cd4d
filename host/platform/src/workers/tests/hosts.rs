//! Several hosts on one store: a worker has one owner, and nobody else commits.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_never_both_commit() {
    let bench = bench().await;
    let (one, two) = (bench.runner("one/1"), bench.runner("two/1"));
    let (of_one, of_two) = (bench.workers(&one.parts), bench.workers(&two.parts));
    let first = acquire(&of_one, "a").await;
    of_one.commit(commit("a", first, 1, vec![1])).await.expect("committed");
    let refused = of_two.acquire(&counter("a")).await.expect_err("the other one has it");
    assert!(matches!(&refused, StoreError::OwnedElsewhere { owner } if owner == "one"), "{refused}");
    // Its host is gone, as far as the store can know.
    super::super::ownership::end(&one).await.expect("ended");
    let second = of_two.acquire(&counter("a")).await.expect("acquired");
    assert!(second.epoch > first && second.record.is_some_and(|record| record.turns == 1));
    of_two.set_version(&counter("a"), version());
    assert!(matches!(of_one.commit(commit("a", first, 2, vec![2])).await, Err(StoreError::NotOwner)));
    assert!(matches!(of_one.remove(&counter("a"), first).await, Err(StoreError::NotOwner)));
    of_two.commit(commit("a", second.epoch, 2, vec![3])).await.expect("committed");
    assert_eq!(of_two.heap(&counter("a"), 2).await.expect("read"), [3]);
    // What the former owner gives up is not the other's.
    of_one.release(&counter("a"), first).await.expect("it does not matter");
    of_two.commit(commit("a", second.epoch, 3, vec![4])).await.expect("it is still the owner");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_removed_begins_anew_with_its_owner() {
    let bench = bench().await;
    let runner = bench.runner("one/1");
    let store = bench.workers(&runner.parts);
    let epoch = acquire(&store, "a").await;
    store.commit(commit("a", epoch, 1, vec![1])).await.expect("committed");
    store.remove(&counter("a"), epoch).await.expect("removed");
    assert!(store.summary(&counter("a")).await.expect("a look").is_none());
    store.commit(commit("a", epoch, 1, vec![2])).await.expect("by the epoch that the owner knows");
    assert_eq!(store.heap(&counter("a"), 1).await.expect("read"), [2]);
    store.release(&counter("a"), epoch).await.expect("released");
    let again = store.acquire(&counter("a")).await.expect("acquired");
    store.release(&counter("a"), again.epoch).await.expect("released");
    // One that was never committed leaves nothing.
    let never = store.acquire(&counter("never")).await.expect("acquired");
    store.release(&counter("never"), never.epoch).await.expect("released");
    let listed = store.list(None, 10).await.expect("a list");
    assert_eq!(listed.into_iter().map(|summary| summary.key).collect::<Vec<_>>(), [counter("a")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_another_host_was_faster_to_take_over_is_not_asked_for() {
    let bench = bench().await;
    let (faster, slower) = (bench.runner("one/1"), bench.runner("two/1"));
    add(&faster, "a").await;
    // A timer that is due, or a look at workers that nobody has.
    let refused = bench.workers(&slower.parts).acquire_unasked(&counter("a")).await.expect_err("the other one has it");
    assert!(matches!(&refused, StoreError::OwnedElsewhere { owner } if owner == "one"), "{refused}");
    let wanted = bench.store.host_read().await.expect("a scope").wanted_workers("one/1", 10).await.expect("read");
    assert_eq!(wanted, []);
    assert_eq!(add(&faster, "a").await, "2");
    super::super::ownership::end(&faster).await.expect("ended");
    let acquired = bench.workers(&slower.parts).acquire_unasked(&counter("a")).await.expect("nobody has it");
    assert!(acquired.record.is_some_and(|record| record.turns > 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_waits_keeps_no_other_worker_from_being_taken_over() {
    let bench = bench().await;
    // Those of a service that is stopped, or is none, wait.
    let file = rusqlite::Connection::open(bench.folder.path().join(STORE_FILE)).expect("a database");
    let served = "PRAGMA foreign_keys = OFF; INSERT INTO services \
                  (tenant, component, environment, revision, version, deployment, stopped) \
                  VALUES ('acme', 'shop', 'production', 1, 1, 'one', 0)";
    file.execute_batch(served).expect("inserted");
    let (gone, here) = (bench.runner("one/1"), bench.runner("two/1"));
    here.start();
    let asking = {
        let gone = Arc::clone(&gone);
        tokio::spawn(async move { call(&gone, "a", "ask").await })
    };
    let tenant = shop().tenant;
    let row = async |name: &str| {
        let mut scope = bench.store.read(&tenant).await.expect("a scope");
        scope.worker(&shop(), &counter(name)).await.expect("a look")
    };
    until("its handler waits", async || row("a").await.is_some_and(|row| row.is_waiting)).await;
    super::super::ownership::end(&gone).await.expect("ended");
    let is_here = async || row("a").await.is_some_and(|row| row.owner.as_deref() == Some("two/1"));
    until("it is taken over", is_here).await;
    // It waits on, and another worker loses its owner meanwhile.
    call(&gone, "b", "alarm").await.expect("it is set");
    super::super::ownership::end(&gone).await.expect("ended");
    asking.abort();
    drop(gone);
    until("the alarm is called", async || row("b").await.is_some_and(|row| row.next_due.is_none())).await;
    assert!(row("a").await.is_some_and(|row| row.is_waiting));
}

/// A database of its own on the server of the tests (where ELIAS_TEST_POSTGRES is set).
async fn bench_on_postgres() -> Option<Bench> {
    let (store, folder) = test_store::postgres()?;
    Some(bench_on(store, folder).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_moves_to_the_host_that_is_asked_and_counts_on() {
    let Some(bench) = bench_on_postgres().await else { return };
    let hosts = [bench.runner("one/1"), bench.runner("two/1")];
    hosts.iter().for_each(WorkerRunner::start);
    for number in 0..6_usize {
        let wanted = (number + 1).to_string();
        assert_eq!(add(&hosts[number % 2], "a").await, wanted, "each host goes on where the other was");
    }
    // One that ends gives up what it has.
    let [one, two] = hosts;
    assert_eq!(add(&one, "a").await, "7");
    one.stop().await;
    assert_eq!(add(&two, "a").await, "8");
    two.stop().await;
}
