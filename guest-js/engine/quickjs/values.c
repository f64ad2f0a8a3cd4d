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

/* The items that an iterator of a Map or a Set has still to give, which it gives none the less: an array of kind ("Map"
   or "Set"), whether it gives entries, and the items. Undefined for any other value. */
JSValue elias_iterator_rest(JSContext *ctx, JSValueConst value) {
  bool of_set = JS_GetClassID(value) == JS_CLASS_SET_ITERATOR;
  JSMapIteratorData *iterator = JS_GetOpaque(value, of_set ? JS_CLASS_SET_ITERATOR : JS_CLASS_MAP_ITERATOR);
  JSMapState *state = iterator ? JS_GetOpaque(iterator->obj, of_set ? JS_CLASS_SET : JS_CLASS_MAP) : NULL;
  JSValue rest, items, kind, gives_entries;
  uint32_t count = 0;
  if (!iterator) return JS_UNDEFINED;
  rest = JS_NewArray(ctx);
  items = JS_NewArray(ctx);
  if (JS_IsException(rest) || JS_IsException(items)) goto fail;
  if (state) {
    struct list_head *at = iterator->cur_record ? iterator->cur_record->link.next : state->records.next;
    for (; at != &state->records; at = at->next) {
      JSMapRecord *record = list_entry(at, JSMapRecord, link);
      JSValueConst pair[2] = {record->key, of_set ? record->key : record->value};
      JSValue item;
      if (record->empty) continue;
      item = iterator->kind == JS_ITERATOR_KIND_KEY     ? js_dup(pair[0])
             : iterator->kind == JS_ITERATOR_KIND_VALUE ? js_dup(pair[1])
                                                        : js_create_array(ctx, 2, pair);
      if (JS_IsException(item) || JS_DefinePropertyValueUint32(ctx, items, count++, item, JS_PROP_C_W_E) < 0) goto fail;
    }
  }
  kind = JS_NewString(ctx, of_set ? "Set" : "Map");
  if (JS_DefinePropertyValueUint32(ctx, rest, 0, kind, JS_PROP_C_W_E) < 0) goto fail;
  gives_entries = js_bool(iterator->kind == JS_ITERATOR_KIND_KEY_AND_VALUE);
  if (JS_DefinePropertyValueUint32(ctx, rest, 1, gives_entries, JS_PROP_C_W_E) < 0) goto fail;
  if (JS_DefinePropertyValueUint32(ctx, rest, 2, js_dup(items), JS_PROP_C_W_E) < 0) goto fail;
  JS_FreeValue(ctx, items);
  return rest;
fail:
  JS_FreeValue(ctx, rest);
  JS_FreeValue(ctx, items);
  return JS_EXCEPTION;
}
