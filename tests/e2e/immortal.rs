//! The objects that the build phase leaves on the heap are immortal: whatever a handler does with it has to come out as
//! ever.

use elias_tests::serve::Server;

#[tokio::test]
async fn what_an_image_has_can_be_changed_dropped_and_be_in_cycles() {
    let flags = ["--fuel", "100000000000", "--deadline-ms", "60000", "--memory-bytes", "1000000000"];
    let server = Server::of(include_str!("immortal.js"), &flags);
    for _ in 0..2 {
        let answer = server.send(http::Request::post("/"), "/", "null").await;
        assert_eq!(answer.body, "[]");
    }
}
