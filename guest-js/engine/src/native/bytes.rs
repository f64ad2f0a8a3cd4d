//! Bytes of JavaScript's buffers, and other conversions that may fail without an exception.
//!
//! QuickJS leaves an exception pending when it is asked for the bytes of a detached buffer, or of something that is not
//! a buffer; rquickjs turns both into `None`. The exception would then be taken for one of whatever runs next. So
//! natives ask here, where it is taken away; a test of `guest-js/web` looks for those that do not.

use javy::quickjs::{ArrayBuffer, Ctx, Object, Result, TypedArray, Value};

/// The value, or nothing; an exception that was thrown on the way is gone.
pub(crate) fn attempt<T>(ctx: &Ctx<'_>, outcome: Result<T>) -> Option<T> {
    outcome.map_err(|_| ctx.catch()).ok()
}

/// The bytes of a `Uint8Array`; none if its buffer is detached.
pub(crate) fn bytes_in<'a>(array: &'a TypedArray<'_, u8>) -> &'a [u8] {
    array.as_bytes().unwrap_or_else(|| {
        array.ctx().catch();
        &[]
    })
}

/// Overwrites the beginning of a `Uint8Array`; gives how many bytes fitted, 0 if its buffer is detached.
pub(crate) fn overwrite(array: &TypedArray<'_, u8>, bytes: &[u8]) -> usize {
    let Some(raw) = array.as_raw() else {
        array.ctx().catch();
        return 0;
    };
    let length = bytes.len().min(raw.len);
    // SAFETY: `length` is at most the array's length, and JavaScript does not run meanwhile.
    unsafe { std::slice::from_raw_parts_mut(raw.ptr.as_ptr(), length) }.copy_from_slice(&bytes[..length]);
    length
}

/// The length of a `Uint8Array` in bytes; 0 if its buffer is detached.
pub(crate) fn room_in(array: &TypedArray<'_, u8>) -> usize {
    bytes_in(array).len()
}

/// The bytes of an `ArrayBuffer` or of a view of one (Web IDL's BufferSource), none of a detached one; nothing for
/// anything else.
pub(crate) fn buffer_source(value: &Value<'_>) -> Option<Vec<u8>> {
    let object = value.as_object()?;
    if let Some(bytes) = object.as_typed_array::<u8>() {
        return Some(bytes_in(bytes).to_vec());
    }
    if let Some(bytes) = buffer_bytes(object) {
        return Some(bytes);
    }
    // The other views have these too; nothing else has an ArrayBuffer under this name.
    let ctx = value.ctx();
    let buffer = buffer_bytes(&attempt(ctx, object.get("buffer"))?)?;
    let offset: usize = attempt(ctx, object.get("byteOffset"))?;
    let length: usize = attempt(ctx, object.get("byteLength"))?;
    buffer.get(offset..offset.checked_add(length)?).map(<[u8]>::to_vec)
}

/// The bytes of an `ArrayBuffer`; nothing for anything else, or one that is detached.
pub(crate) fn buffer_bytes(object: &Object<'_>) -> Option<Vec<u8>> {
    let Some(buffer) = ArrayBuffer::from_object(object.clone()) else {
        object.ctx().catch();
        return None;
    };
    buffer.as_bytes().map(<[u8]>::to_vec)
}
