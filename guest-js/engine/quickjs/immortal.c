/* Ends the build phase for QuickJS: what lives becomes immortal (patches/09-immortal-counts.patch), so that an instance does
   not write to what it only reads.

   Nothing depends on whether all of it is found: what is missed keeps its count, which is right, and costs the write. The
   collector no longer sees what is immortal, nor takes from the counts of what that refers to; that stays alive. */

static void elias_ignore(JSRuntime *rt, JSGCObjectHeader *child) {}

static void elias_make_string_immortal(JSString *string) {
  JS_REF_COUNT(string) = JS_REF_COUNT_IMMORTAL;
  if (string->kind == JS_STRING_KIND_SLICE) JS_REF_COUNT(((JSStringSlice *)&string[1])->parent) = JS_REF_COUNT_IMMORTAL;
}

/* A rope becomes one string now: each instance that reads it would make it that. */
static void elias_make_rope_immortal(JSRuntime *rt, JSValueConst value) {
  JSStringRope *rope = JS_VALUE_GET_STRING_ROPE(value);
  JSContext *ctx = list_entry(rt->context_list.next, JSContext, link);
  JSValue text;
  if (js_is_immortal(rope)) return;
  JS_REF_COUNT(rope) = JS_REF_COUNT_IMMORTAL;
  text = js_linearize_string_rope(ctx, value);
  JS_FreeValue(ctx, JS_IsException(text) ? JS_GetException(ctx) : text);
  elias_make_value_immortal(rt, rope->left);
  elias_make_value_immortal(rt, rope->right);
}

/* JS_MarkValue calls this for values that are not the collector's. */
static void elias_make_value_immortal(JSRuntime *rt, JSValueConst value) {
  switch (JS_VALUE_GET_TAG(value)) {
    case JS_TAG_STRING: elias_make_string_immortal(JS_VALUE_GET_STRING(value)); break;
    case JS_TAG_STRING_ROPE: elias_make_rope_immortal(rt, value); break;
    case JS_TAG_BIG_INT:
    case JS_TAG_SYMBOL:
    case JS_TAG_MODULE: JS_REF_COUNT(JS_VALUE_GET_PTR(value)) = JS_REF_COUNT_IMMORTAL; break;
  }
}

/* What an object has that the collector does not ask for. */
static void elias_make_parts_immortal(JSRuntime *rt, JSObject *object) {
  JSShape *shape = object->shape;
  struct list_head *link;
  int at;
  /* Properties that are made when they are first asked for change the shape then. One that is the object's alone stays so,
     or it would be copied first. */
  if (shape->is_hashed && JS_REF_COUNT(shape) == 1) {
    for (at = 0; at < shape->prop_count; at++) {
      if ((get_shape_prop(shape)[at].flags & JS_PROP_TMASK) != JS_PROP_AUTOINIT) continue;
      js_shape_hash_unlink(rt, shape);
      shape->is_hashed = false;
      break;
    }
  }
  switch (object->class_id) {
    case JS_CLASS_REGEXP:
      if (object->u.regexp.pattern) elias_make_string_immortal(object->u.regexp.pattern);
      if (object->u.regexp.bytecode) elias_make_string_immortal(object->u.regexp.bytecode);
      break;
    case JS_CLASS_MAP:
    case JS_CLASS_SET:
      /* An iterator holds the record that it is at. */
      if (object->u.map_state) list_for_each(link, &object->u.map_state->records) {
        JSMapRecord *record = list_entry(link, JSMapRecord, link);
        if (!record->empty) record->ref_count = JS_REF_COUNT_IMMORTAL;
      }
      break;
  }
}

/* Whether so many atoms can be made before their array grows. */
static bool elias_has_atoms(JSRuntime *rt, int wanted) {
  int at, count = 0;
  for (at = rt->atom_free_index; at != 0 && count < wanted; at = atom_get_free(rt->atom_array[at])) count++;
  return count >= wanted;
}

static void elias_make_atoms_immortal(JSRuntime *rt, int spare) {
  JSAtomStruct **atoms;
  int at, size = rt->atom_size + spare;
  for (at = 0; at < rt->atom_size; at++)
    if (!atom_is_free(rt->atom_array[at])) elias_make_string_immortal(rt->atom_array[at]);
  while (rt->atom_count + spare >= rt->atom_count_resize)
    if (JS_ResizeAtomHash(rt, rt->atom_hash_size * 2)) break;
  if (elias_has_atoms(rt, spare)) return;
  /* The next atoms' places lie together. */
  atoms = js_realloc_rt(rt, rt->atom_array, sizeof(atoms[0]) * size);
  if (!atoms) return;
  for (at = rt->atom_size; at < size; at++) atoms[at] = atom_set_free(at + 1 < size ? at + 1 : rt->atom_free_index);
  rt->atom_free_index = rt->atom_size;
  rt->atom_size = size;
  rt->atom_array = atoms;
}

/* Called when no JavaScript runs and the collector has run; what is immortal already is left as it is. There will be room
   for so many more atoms and shapes in their tables: where one grows, all that is in it is written to. */
void elias_make_immortal(JSRuntime *rt, int spare_atoms, int spare_shapes) {
  struct list_head *link, *next;
  rt->gc_phase = JS_GC_PHASE_IMMORTAL;
  list_for_each(link, &rt->gc_obj_list) {
    JSGCObjectHeader *object = list_entry(link, JSGCObjectHeader, link);
    mark_children(rt, object, elias_ignore);
    if (JS_GC_TYPE(object) == JS_GC_OBJ_TYPE_JS_OBJECT) elias_make_parts_immortal(rt, (JSObject *)object);
  }
  rt->gc_phase = JS_GC_PHASE_NONE;
  list_for_each(link, &rt->context_list) {
    JSContext *ctx = list_entry(link, JSContext, link);
    list_for_each(next, &ctx->loaded_modules)
      JS_REF_COUNT(list_entry(next, JSModuleDef, link)) = JS_REF_COUNT_IMMORTAL;
  }
  elias_make_atoms_immortal(rt, spare_atoms);
  while (2 * (rt->shape_hash_count + spare_shapes) > rt->shape_hash_size)
    if (resize_shape_hash(rt, rt->shape_hash_bits + 1)) break;
  list_for_each_safe(link, next, &rt->gc_obj_list) {
    JSGCObjectHeader *object = list_entry(link, JSGCObjectHeader, link);
    list_del(link);
    /* A shape that is not hashed is one object's own, which changes it in place, and may move it: that it is unlinked then
       must do no harm. */
    if (JS_GC_TYPE(object) == JS_GC_OBJ_TYPE_SHAPE && !((JSShape *)object)->is_hashed) init_list_head(link);
    else JS_REF_COUNT(object) = JS_REF_COUNT_IMMORTAL;
  }
}
