/* Access to values in memory, for natives that most requests call: src/native/raw.rs. */

/* The characters of a flat 8-bit string; NULL for any other value. */
const uint8_t *elias_text(JSValueConst value, size_t *length) {
  JSString *string;
  if (JS_VALUE_GET_TAG(value) != JS_TAG_STRING) return NULL;
  string = JS_VALUE_GET_STRING(value);
  if (string->is_wide_char) return NULL;
  *length = string->len;
  return str8(string);
}

/* A string from ASCII text. */
JSValue elias_new_text(JSContext *ctx, const uint8_t *text, size_t length) {
  return length == 0 ? js_empty_string(ctx->rt) : js_new_string8_len(ctx, (const char *)text, (int)length);
}

/* The items of an array without holes. False for any other value. */
bool elias_items(JSContext *ctx, JSValueConst value, JSValue **items, uint32_t *count) {
  return js_get_fast_array(ctx, value, items, count);
}
