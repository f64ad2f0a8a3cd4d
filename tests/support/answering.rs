//! A component whose configuration says what it answers: many versions of it are made without building it again.

use serde_json::{Value, json};
use std::sync::OnceLock;

const SOURCE: &str = r#"
export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    switch (url.pathname) {
      case "/log":
        console.log(env.answer, "says", url.searchParams.get("text"));
        break;
      case "/throw":
        throw new Error(env.answer + " throws");
      case "/wait":
        console.log(env.answer, "waits");
        await new Promise((resolve) => setTimeout(resolve, 25_000));
        break;
      case "/stream": {
        const text = new TextEncoder();
        return new Response(new ReadableStream({
          async start(controller) {
            controller.enqueue(text.encode(env.answer + " begins\n"));
            for await (const chunk of request.body) if (chunk.length === 0) break;
            controller.enqueue(text.encode(env.answer + " ends\n"));
            controller.close();
          },
        }));
      }
    }
    if (env.waits) await new Promise((resolve) => setTimeout(resolve, 25_000));
    if (env.fails) throw new Error(env.answer + " fails");
    return new Response(env.answer);
  },
};
"#;

/// The component. It answers with its `answer`, and at
/// `/log?text=` logs a line; at `/throw` throws; at `/wait` logs a line and answers much later; at `/stream` begins,
/// and ends when the request's body does. At every other path it throws with `fails`, and answers much later with
/// `waits`.
///
/// # Panics
/// If it does not build.
pub fn answering() -> &'static [u8] {
    static COMPONENT: OnceLock<Vec<u8>> = OnceLock::new();
    COMPONENT.get_or_init(|| crate::build::component(SOURCE))
}

/// The settings of a version that answers this.
#[must_use]
pub fn answers(text: &str) -> Value {
    json!({ "capabilities": { "config": { "answer": text } } })
}

/// The settings of a version that throws at every request, and is deployed all the same.
#[must_use]
pub fn fails(text: &str) -> Value {
    json!({ "capabilities": { "config": { "answer": text, "fails": true } }, "smoke": { "path": "" } })
}

/// The settings of a version that answers every request much later, and is deployed all the same.
#[must_use]
pub fn waits(text: &str) -> Value {
    json!({ "capabilities": { "config": { "answer": text, "waits": true } }, "smoke": { "path": "" } })
}
