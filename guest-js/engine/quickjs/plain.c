/* Object literals and arrays that are shown as they are, without asking a script: src/native/inspect.rs. */

enum {
  /* Kinds of objects. */
  ELIAS_UNUSUAL = 0, ELIAS_LITERAL = 1, ELIAS_LIST = 2,
  /* Kinds of properties: none of Object.keys, one of them, or one that is not shown as it is. */
  ELIAS_HIDDEN = 0, ELIAS_MEMBER = 1, ELIAS_UNUSUAL_MEMBER = 2,
};

/* Whether `prototype` has this constructor, and nothing that says how what inherits from it is shown. */
static bool elias_says_nothing(JSObject *prototype, JSValueConst constructor, JSAtom custom) {
  JSProperty *property;
  JSShapeProperty *found = find_own_property(&property, prototype, JS_ATOM_constructor);
  if (found == NULL || (found->flags & JS_PROP_TMASK)) return false;
  if (JS_VALUE_GET_TAG(property->u.value) != JS_TAG_OBJECT) return false;
  if (JS_VALUE_GET_OBJ(property->u.value) != JS_VALUE_GET_OBJ(constructor)) return false;
  return find_own_property(&property, prototype, JS_ATOM_toJSON) == NULL &&
    find_own_property(&property, prototype, JS_ATOM_Symbol_toStringTag) == NULL &&
    find_own_property(&property, prototype, custom) == NULL;
}

/* Whether object literals and arrays inherit nothing that says how they are shown. `object` is the function Object,
   `custom` the symbol by which packages say it. */
bool elias_prototypes_are_plain(JSContext *ctx, JSValueConst object, JSAtom custom) {
  JSObject *of_objects = JS_VALUE_GET_OBJ(ctx->class_proto[JS_CLASS_OBJECT]);
  JSObject *of_arrays = JS_VALUE_GET_OBJ(ctx->class_proto[JS_CLASS_ARRAY]);
  return of_arrays->shape->proto == of_objects && elias_says_nothing(of_objects, object, custom) &&
    elias_says_nothing(of_arrays, ctx->array_ctor, custom);
}

/* The kind of a value: an object literal with so many properties to look at, an array without holes, or anything
   else. */
int elias_kind(JSContext *ctx, JSValueConst value, uint32_t *count) {
  JSObject *object, *prototype;
  JSValue length;
  if (JS_VALUE_GET_TAG(value) != JS_TAG_OBJECT) return ELIAS_UNUSUAL;
  object = JS_VALUE_GET_OBJ(value);
  prototype = object->shape->proto;
  if (object->class_id == JS_CLASS_OBJECT) {
    if (object->is_exotic || prototype != JS_VALUE_GET_OBJ(ctx->class_proto[JS_CLASS_OBJECT])) return ELIAS_UNUSUAL;
    *count = (uint32_t)object->shape->prop_count;
    return ELIAS_LITERAL;
  }
  if (object->class_id != JS_CLASS_ARRAY) return ELIAS_UNUSUAL;
  if (prototype != JS_VALUE_GET_OBJ(ctx->class_proto[JS_CLASS_ARRAY])) return ELIAS_UNUSUAL;
  /* Another property is shown too; a length beyond the values means holes. */
  if (!object->fast_array || object->shape->prop_count != 1) return ELIAS_UNUSUAL;
  length = object->prop[0].u.value;
  if (JS_VALUE_GET_TAG(length) != JS_TAG_INT) return ELIAS_UNUSUAL;
  if ((uint32_t)JS_VALUE_GET_INT(length) != object->u.array.count) return ELIAS_UNUSUAL;
  *count = object->u.array.count;
  return ELIAS_LIST;
}

/* The property of an object literal at this place: its name and its value, of which nobody gets a reference. */
int elias_member(JSContext *ctx, JSValueConst object, uint32_t at, JSValue *name, JSValue *value) {
  JSObject *from = JS_VALUE_GET_OBJ(object);
  JSShapeProperty *property = &get_shape_prop(from->shape)[at];
  JSAtom atom = property->atom;
  if (atom == JS_ATOM_NULL) return ELIAS_HIDDEN;
  /* Integers come first, a getter runs code, a symbol may say how the object is shown. */
  if (__JS_AtomIsTaggedInt(atom) || (property->flags & JS_PROP_TMASK)) return ELIAS_UNUSUAL_MEMBER;
  if (atom == JS_ATOM_toJSON || atom == JS_ATOM___proto__) return ELIAS_UNUSUAL_MEMBER;
  if (JS_AtomGetKind(ctx, atom) != JS_ATOM_KIND_STRING) return ELIAS_UNUSUAL_MEMBER;
  if (!(property->flags & JS_PROP_ENUMERABLE)) return ELIAS_HIDDEN;
  *name = JS_MKPTR(JS_TAG_STRING, ctx->rt->atom_array[atom]);
  *value = from->prop[at].u.value;
  return ELIAS_MEMBER;
}
