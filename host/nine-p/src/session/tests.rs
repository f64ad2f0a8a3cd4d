//! Sessions of both dialects, byte by byte, and what clients do that they must not.

mod fake;

use crate::limits::Limits;
use crate::session::SessionError;
use fake::{Client, errno};
use std::sync::atomic::Ordering;
use std::time::Duration;

const READ_WRITE: u32 = 2;

fn number(number: u32) -> [u8; 4] {
    number.to_le_bytes()
}

/// A body of a read from an offset.
fn read_body(fid: u32, offset: u64, count: u32) -> Vec<u8> {
    [&number(fid)[..], &offset.to_le_bytes(), &number(count)].concat()
}

#[tokio::test]
async fn linux_reads_a_file() {
    let mut client = Client::attached(Limits::default()).await;
    for (request, response) in [
        // Walk, open, read to the end.
        ("18000000 6e 0200 00000000 01000000 0100 0500 'hello'", "16000000 6f 0200 0100 00 00000000 0200000000000000"),
        ("0f000000 0c 0300 01000000 00800000", "18000000 0d 0300 00 00000000 0200000000000000 e81f0000"),
        ("17000000 74 0400 01000000 0000000000000000 00100000", "10000000 75 0400 05000000 'hello'"),
        ("17000000 74 0500 01000000 0500000000000000 00100000", "0b000000 75 0500 00000000"),
        // Its attributes.
        (
            "13000000 18 0600 01000000 ff07000000000000",
            "a0000000 19 0600 ff07000000000000 00 00000000 0200000000000000 b6810000 00000000 00000000
             0100000000000000 0000000000000000 0500000000000000 0010000000000000 0100000000000000
             0700000000000000 0000000000000000 0700000000000000 0000000000000000 0700000000000000
             0000000000000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000",
        ),
        // No such file: ENOENT.
        ("19000000 6e 0700 00000000 02000000 0100 0600 'nobody'", "0b000000 07 0700 02000000"),
        ("0b000000 78 0800 01000000", "07000000 79 0800"),
        // The fid stands for nothing any more: EBADF.
        ("0b000000 78 0900 01000000", "0b000000 07 0900 09000000"),
        (
            "0b000000 08 0a00 00000000",
            "43000000 09 0a00 97190201 00100000 0000000000000000 0000000000000000 0000000000000000
             0000000000000000 0000000000000000 0000000000000000 ff000000",
        ),
    ] {
        client.exchange(request, response).await;
    }
    assert_eq!(client.leave().await.open.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn plan_9_reads_a_file() {
    let mut client = Client::new(Limits::default());
    for (request, response) in [
        ("15000000 64 ffff 00200000 0800 '9P2000.u'", "13000000 65 ffff 00200000 0600 '9P2000'"),
        ("19000000 68 0100 00000000 ffffffff 0000 0600 'secret'", "14000000 69 0100 80 00000000 0100000000000000"),
        ("18000000 6e 0200 00000000 01000000 0100 0500 'hello'", "16000000 6f 0200 0100 00 00000000 0200000000000000"),
        ("0c000000 70 0300 01000000 00", "18000000 71 0300 00 00000000 0200000000000000 e81f0000"),
        ("17000000 74 0400 01000000 0000000000000000 00100000", "10000000 75 0400 05000000 'hello'"),
        (
            "0b000000 7c 0600 01000000",
            "4e000000 7d 0600 4500 4300 0000 00000000 00 00000000 0200000000000000 b6010000 07000000 07000000
             0500000000000000 0500 'hello' 0500 'elias' 0500 'elias' 0500 'elias'",
        ),
        // Errors are texts.
        ("19000000 6e 0700 00000000 02000000 0100 0600 'nobody'", "22000000 6b 0700 1900 'no such file or directory'"),
        ("0b000000 78 0800 01000000", "07000000 79 0800"),
    ] {
        client.exchange(request, response).await;
    }
    client.leave().await;
}

#[tokio::test]
async fn versions_are_agreed_on() {
    let mut client = Client::new(Limits { message_bytes: 8_192, ..Limits::default() });
    for (request, response) in [
        // Of the sizes the smaller one.
        ("13000000 64 ffff 00000100 0600 '9P2000'", "13000000 65 ffff 00200000 0600 '9P2000'"),
        ("13000000 64 ffff 00000100 0600 '9P1999'", "14000000 65 ffff 00200000 0700 'unknown'"),
        // Messages of 256 bytes are too small.
        ("15000000 64 ffff 00010000 0800 '9P2000.L'", "14000000 65 ffff 00200000 0700 'unknown'"),
    ] {
        client.exchange(request, response).await;
    }
    // No version is agreed on.
    client.request(120, 1, &[&number(0)]).await;
    assert!(matches!(client.end().await, SessionError::Protocol(_)));
}

#[tokio::test]
async fn a_version_begins_anew() {
    let mut client = Client::attached(Limits::default()).await;
    client.walk(1, "wait").await;
    client.open(1, READ_WRITE).await;
    client.wait(1, 5).await;
    client.exchange("15000000 64 ffff 00200000 0800 '9P2000.L'", "15000000 65 ffff 00200000 0800 '9P2000.L'").await;
    assert_eq!(client.shared.open.load(Ordering::Relaxed), 0);
    assert_eq!(errno(&client.call(120, &[&number(0)]).await), 9, "no fid is left");
}

#[tokio::test]
async fn malformed_requests_are_refused_and_the_session_goes_on() {
    let mut client = Client::attached(Limits::default()).await;
    let seventeen = [&number(0)[..], &number(1), &17_u16.to_le_bytes(), &b"\x01\0a".repeat(17)].concat();
    let malformed: [(u8, &[u8]); 10] = [
        (110, &seventeen),
        (110, b"\0\0\0\0\x01\0\0\0\x01\0\x09\0a"),
        (110, b"\0\0\0\0\x01\0\0\0\x01\0\x01\0\xff"),
        (116, b"\0\0\0\0"),
        (118, b"\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff"),
        (120, b"\0\0\0\0\0"),
        (12, b"\0\0\0\0\x03\0\0\0"),
        (112, b"\0\0\0\0\0"),
        (200, b""),
        (109, b""),
    ];
    for (kind, body) in malformed {
        assert_eq!(errno(&client.call(kind, &[body]).await), 22, "{kind}");
    }
    client.walk(1, "hello").await;
}

#[tokio::test]
async fn messages_without_an_end_end_the_session() {
    for message in [&b"\x06\0\0\0\x64\xff\xff"[..], b"\x01\0\x01\0\x64\xff\xff", b"\xff\xff\xff\xff\x64\xff\xff"] {
        let mut client = Client::new(Limits::default());
        client.send(message).await;
        assert!(matches!(client.end().await, SessionError::Protocol(_)), "{message:?}");
    }
    // More than was agreed on.
    let mut client = Client::attached(Limits::default()).await;
    client.send(b"\x01\x20\0\0\x74\x01\0").await;
    assert!(matches!(client.end().await, SessionError::Protocol(_)));
}

#[tokio::test]
async fn a_tag_is_for_one_request() {
    let mut client = Client::attached(Limits::default()).await;
    client.walk(1, "wait").await;
    client.open(1, READ_WRITE).await;
    client.wait(1, 5).await;
    client.request(120, 5, &[&number(0)]).await;
    assert!(matches!(client.end().await, SessionError::Protocol(_)));
}

#[tokio::test]
async fn fids_are_what_the_client_made_them() {
    let limits = Limits { fids: 4, open_files: 1, depth: 40, ..Limits::default() };
    let mut client = Client::attached(limits).await;
    let walk = |fid: u32, new_fid: u32, names: &[&str]| {
        let count = u16::try_from(names.len()).expect("few").to_le_bytes();
        let mut body = [&number(fid)[..], &number(new_fid), &count].concat();
        for name in names {
            body.extend(u16::try_from(name.len()).expect("short").to_le_bytes());
            body.extend(name.as_bytes());
        }
        body
    };
    assert_eq!(errno(&client.call(110, &[&walk(7, 1, &[])]).await), 9, "unknown");
    assert_eq!(errno(&client.call(110, &[&walk(0, u32::MAX, &[])]).await), 9, "none");
    client.walk(1, "hello").await;
    assert_eq!(errno(&client.call(110, &[&walk(0, 1, &[])]).await), 9, "in use");
    assert_eq!(errno(&client.call(116, &[&read_body(1, 0, 9)]).await), 9, "not open");
    assert_eq!(errno(&client.call(110, &[&walk(1, 2, &["hello"])]).await), 20, "behind a file");
    client.open(1, 0).await;
    assert_eq!(errno(&client.call(118, &[&read_body(1, 0, 0)]).await), 9, "not open for writing");
    assert_eq!(errno(&client.call(12, &[&number(1), &number(0)]).await), 9, "open already");
    client.walk(2, "wait").await;
    assert_eq!(errno(&client.call(12, &[&number(2), &number(0)]).await), 24, "too many open files");
    client.clunk(1).await;
    client.open(2, 0).await;
    client.walk(1, "hello").await;
    client.walk(3, "hello").await;
    assert_eq!(errno(&client.call(110, &[&walk(0, 4, &[])]).await), 24, "too many fids");
    client.clunk(3).await;
    // As far as there is something, and the fid is free after it.
    let (kind, walked) = client.call(110, &[&walk(0, 3, &["deep", "none"])]).await;
    assert_eq!((kind, &walked[..2]), (111, &b"\x01\0"[..]));
    assert_eq!(errno(&client.call(120, &[&number(3)]).await), 9);
    let long = "x".repeat(1_025);
    assert_eq!(errno(&client.call(110, &[&walk(0, 3, &[&long])]).await), 36, "ENAMETOOLONG");
    // Walks of 16 names each, down to the limit of 40.
    assert_eq!(client.call(110, &[&walk(0, 3, &[])]).await.0, 111);
    for names in [16, 16, 8] {
        let (kind, walked) = client.call(110, &[&walk(3, 3, &vec!["deep"; names])]).await;
        assert_eq!((kind, usize::from(walked[0])), (111, names));
    }
    assert_eq!(errno(&client.call(110, &[&walk(3, 3, &["deep"])]).await), 36, "too deep");
    // And up, beyond the root.
    for _ in 0..3 {
        assert_eq!(client.call(110, &[&walk(3, 3, &[".."; 16])]).await.0, 111);
    }
    assert_eq!(client.call(110, &[&walk(3, 3, &["hello"])]).await.0, 111);
}

#[tokio::test]
async fn what_fids_hold_is_bounded_and_counted_once() {
    let mut client = Client::attached(Limits { place_bytes: 4_096, ..Limits::default() }).await;
    let walk = |fid: u32| [&number(0)[..], &number(fid), b"\x01\0\x05\0hello"].concat();
    let mut fid = 0;
    let refused = loop {
        fid += 1;
        let response = client.call(110, &[&walk(fid)]).await;
        if response.0 != 111 {
            break errno(&response);
        }
    };
    assert_eq!((refused, fid), (24, 7), "EMFILE");
    // Another fid of the same file holds nothing more, and one that is forgotten nothing at all.
    assert_eq!(client.call(110, &[&number(1), &number(7), b"\0\0"]).await.0, 111);
    client.clunk(2).await;
    assert_eq!(client.call(110, &[&walk(2)]).await.0, 111);
}

#[tokio::test]
async fn a_length_of_nothing_and_times_are_set_and_nothing_else_is() {
    let mut client = Client::attached(Limits::default()).await;
    client.walk(1, "box").await;
    let set =
        |valid: u32, size: u64| [&number(1)[..], &number(valid), &[0; 12], &size.to_le_bytes(), &[0; 32]].concat();
    for (valid, size, wanted) in [(8, 0, 0), (0x40 | 0x10, 5, 0), (8, 5, 1), (1, 0, 1), (2 | 8, 0, 1)] {
        let response = client.call(26, &[&set(valid, size)]).await;
        assert_eq!(if response.0 == 27 { 0 } else { errno(&response) }, wanted, "{valid} {size}");
    }
    for kind in [16, 18, 20, 22, 30, 32, 52, 54, 70, 72, 74, 76] {
        assert_eq!(errno(&client.call(kind, &[&number(1)]).await), 95, "{kind}: EOPNOTSUPP");
    }
    // Removing is not permitted, and ends the fid all the same.
    assert_eq!(errno(&client.call(122, &[&number(1)]).await), 1);
    assert_eq!(errno(&client.call(120, &[&number(1)]).await), 9);
}

#[tokio::test]
async fn a_flushed_read_leaves_nothing() {
    let mut client = Client::attached(Limits::default()).await;
    client.walk(1, "wait").await;
    client.open(1, READ_WRITE).await;
    for _ in 0..3 {
        client.wait(1, 5).await;
        // The response of the flush is the only one.
        client.exchange("09000000 6c 0600 0500", "07000000 6d 0600").await;
        assert_eq!(client.shared.waiting.load(Ordering::Relaxed), 0);
    }
    // Of a request that is none.
    client.exchange("09000000 6c 0600 4d00", "07000000 6d 0600").await;
    client.clunk(1).await;
    assert_eq!(client.leave().await.open.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn closing_a_file_ends_its_reads() {
    let mut client = Client::attached(Limits::default()).await;
    for fid in [1, 2] {
        client.walk(fid, "wait").await;
        client.open(fid, READ_WRITE).await;
    }
    client.wait(1, 5).await;
    client.wait(2, 6).await;
    client.request(120, 7, &[&number(1)]).await;
    let (kind, tag, body) = client.response().await;
    assert_eq!((tag, errno(&(kind, body))), (5, 4), "EINTR");
    assert_eq!(client.response().await, (121, 7, vec![]));
    assert_eq!(client.shared.waiting.load(Ordering::Relaxed), 1, "the other one waits");
    let shared = client.leave().await;
    assert_eq!((shared.waiting.load(Ordering::Relaxed), shared.open.load(Ordering::Relaxed)), (0, 0));
}

#[tokio::test]
async fn requests_under_way_are_bounded_and_files_can_be_closed() {
    let mut client = Client::attached(Limits { requests: 2, ..Limits::default() }).await;
    client.walk(1, "wait").await;
    client.open(1, READ_WRITE).await;
    client.wait(1, 1).await;
    client.wait(1, 2).await;
    assert_eq!(errno(&client.call(116, &[&read_body(1, 0, 9)]).await), 11, "EAGAIN");
    client.request(120, 3, &[&number(1)]).await;
    let tags = [client.response().await.1, client.response().await.1, client.response().await.1];
    assert_eq!(tags, [1, 2, 3]);
    client.walk(1, "hello").await;
}

#[tokio::test]
async fn a_file_that_is_being_closed_is_counted_as_open() {
    let mut client = Client::attached(Limits { open_files: 1, ..Limits::default() }).await;
    client.walk(1, "stuck").await;
    client.open(1, READ_WRITE).await;
    client.request(120, 5, &[&number(1)]).await;
    // The fid is free at once.
    client.walk(1, "hello").await;
    assert_eq!(errno(&client.call(12, &[&number(1), &number(0)]).await), 24, "too many open files");
    // Closing is given up.
    client.exchange("09000000 6c 0600 0500", "07000000 6d 0600").await;
    client.open(1, 0).await;
    assert_eq!(client.leave().await.open.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn ten_thousand_opens_leave_nothing() {
    let mut client = Client::attached(Limits { fids: 2, open_files: 1, ..Limits::default() }).await;
    for _ in 0..10_000 {
        client.walk(1, "box").await;
        client.open(1, READ_WRITE).await;
        client.clunk(1).await;
    }
    assert_eq!(client.shared.open.load(Ordering::Relaxed), 0);
    client.leave().await;
}

#[tokio::test]
async fn what_was_written_is_sent_when_the_file_is_closed_and_not_when_the_client_is_lost() {
    let mut client = Client::attached(Limits::default()).await;
    for (fid, text) in [(1, b"one".as_slice()), (2, b"two".as_slice())] {
        client.walk(fid, "box").await;
        client.open(fid, READ_WRITE).await;
        let (head, count) = ([&number(fid)[..], &[0; 8]].concat(), number(3));
        assert_eq!(client.call(118, &[&head, &count, text]).await, (119, number(3).to_vec()));
    }
    client.clunk(1).await;
    let shared = client.leave().await;
    assert_eq!(*shared.sent.lock(), ["one"]);
    assert_eq!(shared.open.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_directory_is_read_in_pieces_while_it_changes() {
    let mut client = Client::attached(Limits::default()).await;
    *client.shared.many.lock() = (100..300).map(|number| format!("entry-{number}")).collect();
    client.shared.many.lock().push("x".repeat(256));
    client.walk(1, "many").await;
    client.open(1, 0).await;
    let (mut names, mut offset) = (Vec::new(), 0);
    loop {
        let (kind, body) = client.call(40, &[&read_body(1, offset, 400)]).await;
        assert_eq!(kind, 41);
        let mut entries = &body[4..];
        if entries.is_empty() {
            break;
        }
        assert!(body.len() <= 404);
        while let [_, _, _, _, _, _, _, _, _, _, _, _, _, rest @ ..] = entries {
            offset = u64::from_le_bytes(rest[..8].try_into().expect("a cookie"));
            let length = usize::from(u16::from_le_bytes([rest[9], rest[10]]));
            names.push(String::from_utf8(rest[11..11 + length].to_vec()).expect("a name"));
            entries = &rest[11 + length..];
        }
        // What was listed goes, and something comes before it.
        let mut many = client.shared.many.lock();
        many.retain(|name| !names.contains(name));
        many.insert(0, format!("a-{offset}"));
    }
    let wanted: Vec<String> = (100..300).map(|number| format!("entry-{number}")).collect();
    assert_eq!(names, wanted, "each once, and none that is too long for Linux");
    assert_eq!(errno(&client.call(40, &[&read_body(1, 12_345, 400)]).await), 22, "an offset of nowhere");
    assert_eq!(errno(&client.call(40, &[&read_body(1, 0, 8)]).await), 22, "no room for an entry");
}

#[tokio::test]
async fn tokens_let_in() {
    let mut client = Client::new(Limits::default());
    client.exchange("15000000 64 ffff 00200000 0800 '9P2000.L'", "15000000 65 ffff 00200000 0800 '9P2000.L'").await;
    let attach = |fid: u32, afid: u32, aname: &str| {
        let length = u16::try_from(aname.len()).expect("short").to_le_bytes();
        [&number(fid)[..], &number(afid), &[0, 0], &length, aname.as_bytes(), &number(0)].concat()
    };
    assert_eq!(errno(&client.call(104, &[&attach(0, u32::MAX, "guess")]).await), 13);
    assert_eq!(errno(&client.call(104, &[&attach(0, u32::MAX, "")]).await), 13);
    assert_eq!(errno(&client.call(104, &[&attach(0, u32::MAX, "secret@other")]).await), 13);
    assert_eq!(errno(&client.call(104, &[&attach(0, u32::MAX, "secret/none")]).await), 2);
    assert_eq!(client.call(104, &[&attach(0, u32::MAX, "secret@acme/hello")]).await.0, 105);
    // By an authentication file; a name with a token needs none.
    assert_eq!(errno(&client.call(102, &[&number(1), b"\0\0\x06\0secret\0\0\0\0"]).await), 2);
    assert_eq!(client.call(102, &[&number(1), b"\0\0\0\0\0\0\0\0"]).await.0, 103);
    assert_eq!(client.call(118, &[&number(1), &[0; 8], &number(7), b"secret\n"]).await.0, 119);
    assert_eq!(client.call(104, &[&attach(2, 1, "@acme")]).await.0, 105);
    let half = [b'x'; 4_096];
    assert_eq!(client.call(118, &[&number(1), &[0; 8], &number(4_096), &half]).await.0, 119);
    assert_eq!(errno(&client.call(118, &[&number(1), &[0; 8], &number(4_096), &half]).await), 27, "EFBIG");
    for fid in 3..6 {
        assert_eq!(client.call(102, &[&number(fid), b"\0\0\0\0\0\0\0\0"]).await.0, 103);
    }
    assert_eq!(errno(&client.call(102, &[&number(6), b"\0\0\0\0\0\0\0\0"]).await), 24, "too many of them");
    assert_eq!(client.call(120, &[&number(1)]).await.0, 121);
}

#[tokio::test(start_paused = true)]
async fn clients_have_little_time_to_attach_and_much_to_be_idle() {
    let limits = Limits::default();
    let begun = tokio::time::Instant::now();
    let client = Client::new(limits.clone());
    assert!(matches!(client.end().await, SessionError::AttachTimeout));
    assert_eq!(begun.elapsed(), limits.attach_timeout);

    let client = Client::attached(limits.clone()).await;
    let begun = tokio::time::Instant::now();
    assert!(matches!(client.end().await, SessionError::Idle));
    assert!(begun.elapsed() >= limits.idle_timeout - Duration::from_secs(1));

    // One whose read waits is not idle.
    let mut client = Client::attached(limits.clone()).await;
    client.walk(1, "wait").await;
    client.open(1, READ_WRITE).await;
    client.wait(1, 5).await;
    tokio::time::sleep(3 * limits.idle_timeout).await;
    client.exchange("09000000 6c 0600 0500", "07000000 6d 0600").await;

    // One that has forgotten all files is as one that has not attached, once they are closed.
    let mut client = Client::attached(limits.clone()).await;
    client.walk(1, "stuck").await;
    client.open(1, READ_WRITE).await;
    client.request(120, 5, &[&number(1)]).await;
    client.clunk(0).await;
    tokio::time::sleep(3 * limits.attach_timeout).await;
    client.exchange("09000000 6c 0600 0500", "07000000 6d 0600").await;
    assert!(matches!(client.end().await, SessionError::AttachTimeout));
}

#[tokio::test(start_paused = true)]
async fn clients_have_to_read() {
    let mut client = Client::attached(Limits::default()).await;
    client.walk(1, "hello").await;
    client.open(1, 0).await;
    // Responses are not read until no more of them are taken, and so no more requests either.
    let request = [&b"\x17\0\0\0\x74\x01\0"[..], &read_body(1, 0, 5)].concat().repeat(200_000);
    assert!(client.try_send(&request).await.is_err(), "the session was ended");
    assert!(matches!(client.end().await, SessionError::WriteTimeout));
}
