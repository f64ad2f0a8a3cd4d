//! The statements that run all the time, for the test that each finds its rows by an index.

use super::{WorkerFilter, acquire, commit, compact, heaps, listing, sweep};
use crate::Dialect;
use crate::tests::plans::Value;

/// The statements, with values for their parameters.
pub(crate) fn hot_statements(dialect: Dialect) -> Vec<(String, Vec<Value>)> {
    use Value::{Bytes, Items, Number, Text};
    let service = [Text("a"), Text("shop"), Text("production")];
    let worker = [&service[..], &[Bytes("Cart"), Bytes("7")]].concat();
    let with = |values: &[Value]| [&worker[..], values].concat();
    let key = [Text("shop"), Text("production"), Bytes("Cart"), Bytes("7")];
    let state = [Number(1), Number(9), Bytes("{}"), Number(0), Number(0), Number(0), Number(0), Number(1), Number(1)];
    let commit =
        [&key[..], &state[..], &[Number(1), Number(1), Text("d"), Text("back"), Number(1), Number(0)]].concat();
    let turn = [Text("7"), Number(9), Text("change"), Number(8), Bytes("pages"), Text("d"), Number(5)];
    let turn = [&turn[..], &[Number(1), Number(0)]].concat();
    let of_worker = [Text("a"), Text("7")];
    let listed = |class: Option<&str>, prefix: Option<&str>| {
        listing::list_workers(&WorkerFilter { class: class.map(Into::into), prefix: prefix.map(Into::into) })
    };
    vec![
        (acquire::acquire_worker(dialect), with(&[Text("id"), Text("me")])),
        (acquire::WANTED_WORKERS.to_owned(), vec![Text("me"), Number(50)]),
        (commit::commit_workers(dialect, 2), [&[Text("a")][..], &[Number(64); 5], &commit[..], &commit[..]].concat()),
        (commit::insert_turns(dialect, 2), [&[Text("a")][..], &turn[..], &turn[..]].concat()),
        (heaps::heap_parts(), with(&[Number(1)])),
        (heaps::worker_history(), with(&[Number(9), Number(50)])),
        (listed(None, None), with(&[Number(50)])),
        (listed(Some("Cart"), None), with(&[Number(50)])),
        (listed(Some("Cart"), Some("7")), with(&[Number(50), Bytes("7"), Bytes("8")])),
        (listing::pending_workers(dialect), with(&[Number(50), Text("me")])),
        (listing::orphaned_workers(dialect), vec![Number(10), Number(50), Number(0)]),
        (compact::compactable_workers(dialect), vec![Text("me"), Number(50), Number(0)]),
        (sweep::sweepable_workers(dialect), vec![Number(50)]),
        (sweep::kept_turns(dialect), [&of_worker[..], &[Number(2), Number(10)]].concat()),
        (sweep::delete_turns(), [&of_worker[..], &[Number(2), Number(1), Number(50), Number(1)]].concat()),
        (sweep::delete_uncommitted(dialect), vec![Number(10), Number(50)]),
        (sweep::workers_of(dialect, ""), vec![Text("a"), Number(50)]),
        (sweep::delete_by_id(dialect)[0].clone(), vec![Text("a"), Items]),
        (sweep::delete_by_id(dialect)[1].clone(), vec![Text("a"), Items]),
    ]
}
