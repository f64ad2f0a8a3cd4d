//! MIME types (the MIME Sniffing Standard) and `data:` URLs (Fetch Standard 6), by the crate `data-url`.

use super::convert::UsvString;
use data_url::DataUrl;
use data_url::mime::Mime;
use javy::quickjs::{Array, Ctx, Function, Object, Result, TypedArray, Value};

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("mimeType", Function::new(ctx.clone(), mime_type)?)?;
    native.set("dataUrl", Function::new(ctx, data_url)?)
}

/// "Extract a MIME type" (Fetch 3.1.2) from the value of a content-type header, several of them joined by commas: its
/// serialization, its essence and the parameters charset and boundary (null where it has none). Null if there is none.
fn mime_type<'js>(ctx: Ctx<'js>, header: UsvString) -> Result<Value<'js>> {
    let mut found: Option<Mime> = None;
    for value in split_at_commas(&header.0) {
        let Ok(mut mime) = value.trim().parse::<Mime>() else { continue };
        if essence(&mime) == "*/*" {
            continue;
        }
        if let Some(before) = found.filter(|before| essence(before) == essence(&mime)) {
            // The charset of an earlier value counts for later ones of the same type.
            if let (Some(charset), None) = (before.get_parameter("charset"), mime.get_parameter("charset")) {
                mime.parameters.push(("charset".to_owned(), charset.to_owned()));
            }
        }
        found = Some(mime);
    }
    let Some(mime) = found else { return Ok(Value::new_null(ctx)) };
    let parts = Array::new(ctx)?;
    parts.set(0, mime.to_string())?;
    parts.set(1, essence(&mime))?;
    parts.set(2, mime.get_parameter("charset"))?;
    parts.set(3, mime.get_parameter("boundary"))?;
    Ok(parts.into_value())
}

fn essence(mime: &Mime) -> String {
    format!("{}/{}", mime.type_, mime.subtype)
}

/// Splits where a comma is in no quoted string.
fn split_at_commas(header: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, character) in header.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                parts.push(&header[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&header[start..]);
    parts
}

/// The MIME type and the bytes of a `data:` URL; null if it is none.
fn data_url<'js>(ctx: Ctx<'js>, url: String) -> Result<Value<'js>> {
    let Ok(url) = DataUrl::process(&url) else { return Ok(Value::new_null(ctx)) };
    let Ok((bytes, _)) = url.decode_to_vec() else { return Ok(Value::new_null(ctx)) };
    let parts = Array::new(ctx.clone())?;
    parts.set(0, url.mime_type().to_string())?;
    parts.set(1, TypedArray::<u8>::new(ctx, bytes)?)?;
    Ok(parts.into_value())
}
