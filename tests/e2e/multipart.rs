//! Bodies of the type `multipart/form-data`: well formed ones come back as they were, all others are a `TypeError`.

use elias_tests::serve::Server;
use http::Request;

const SOURCE: &str = r#"
export default {
  async fetch(request) {
    try {
      const form = await request.formData();
      if (new URL(request.url).pathname === "/again") return new Response(form);
      const entries = [];
      for (const [name, value] of form) {
        entries.push([name,
          value instanceof File ? { name: value.name, type: value.type, text: await value.text() } : value]);
      }
      return Response.json(entries);
    } catch (error) {
      return new Response(`${error.name}: ${error.message}`, { status: 400 });
    }
  },
};
"#;

const TYPE: &str = "multipart/form-data; boundary=\"=_b\"";

fn post() -> http::request::Builder {
    Request::post("/").header("content-type", TYPE)
}

#[tokio::test]
async fn forms_with_files_are_read_and_written() {
    let server = Server::of(SOURCE, &[]);
    let body = "\r\n--=_b\r\nContent-Disposition: form-data; name=\"a %22b%22\"\r\n\r\nline\r\n--=_\r\n\
                --=_b \r\ncontent-type:text/x\r\nCONTENT-DISPOSITION: Form-Data; filename=\"\u{e9}.txt\"; \
                name=file\r\nx-other: 1\r\n\r\n\u{e9}\r\n\
                --=_b\r\nContent-Disposition: form-data; name=empty; filename=\"\"\r\n\r\n\r\n--=_b--\r\nafterwards";
    let expected = "[[\"a \\\"b\\\"\",\"line\\r\\n--=_\"],\
         [\"file\",{\"name\":\"\u{e9}.txt\",\"type\":\"text/x\",\"text\":\"\u{e9}\"}],\
                    [\"empty\",{\"name\":\"\",\"type\":\"text/plain\",\"text\":\"\"}]]";
    assert_eq!(server.send(post(), "/", body).await.body, expected);
    // A form that the component writes, it reads as the same.
    let again = server.send(post(), "/again", body).await;
    let request = Request::post("/").header("content-type", &again.headers["content-type"]);
    assert_eq!(server.send(request, "/", again.body).await.body, expected);
}

#[tokio::test]
async fn malformed_forms_are_type_errors() {
    let server = Server::of(SOURCE, &[]);
    let part = "--=_b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n";
    for (body, why) in [
        (String::new(), "does not begin with its boundary"),
        ("--=_c\r\n".to_owned(), "does not begin with its boundary"),
        (part.to_owned(), "a part has no end"),
        (format!("{part}--=_bx"), "not at the end of its line"),
        ("--=_b\r\nContent-Disposition: form-data; name=a".to_owned(), "the header of a part has no end"),
        ("--=_b\r\n\r\nx\r\n--=_b--".to_owned(), "a part has no name"),
        ("--=_b\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--=_b--".to_owned(), "is not form-data"),
        ("--=_b\r\nContent-Disposition: form-data; name=\"a\r\n\r\nx\r\n--=_b--".to_owned(), "malformed"),
        ("--=_b\r\nno colon\r\n\r\nx\r\n--=_b--".to_owned(), "has no colon"),
        (format!("--=_b\r\na: {}\r\n\r\n", "x".repeat(20_000)), "longer than 16 KiB"),
        (format!("{}--=_b--", part.repeat(10_001)), "more than 10,000 parts"),
    ] {
        let answer = server.send(post(), "/", body).await;
        assert_eq!(answer.status, 400, "{why}: {}", answer.body);
        assert!(answer.body.starts_with("TypeError: ") && answer.body.contains(why), "{why}: {}", answer.body);
    }
    let untyped = server.send(Request::post("/").header("content-type", "multipart/form-data"), "/", part).await;
    assert!(untyped.body.contains("has no boundary"), "{}", untyped.body);
}
