/* QuickJS internals for the native fast paths of URL and URLSearchParams: src/native/url/object.rs.

   The classes are defined in url/url.js. As with responses, an instance is recognized by its shape: it has the two
   fields of its class, in order, and no other property. */

enum { ELIAS_URL_KINDS = 2, ELIAS_URL_FIELDS = 2 };

/* A URL and a URLSearchParams that their classes made; immortal after the build phase. */
static JSObject *elias_url_templates[ELIAS_URL_KINDS];

/* Sets the object whose shape identifies its kind. False if it does not have the fields. */
bool elias_set_url_template(JSContext *ctx, int kind, JSValueConst template) {
  if (!JS_IsObject(template) || JS_VALUE_GET_OBJ(template)->shape->prop_count != ELIAS_URL_FIELDS) return false;
  elias_url_templates[kind] = JS_VALUE_GET_OBJ(js_dup(template));
  return true;
}

/* The fields of an object of this kind; NULL for any other value, and for an object whose shape differs. */
JSValue *elias_url_fields(JSValueConst value, int kind) {
  JSObject *object;
  if (!JS_IsObject(value) || elias_url_templates[kind] == NULL) return NULL;
  object = JS_VALUE_GET_OBJ(value);
  return object->shape == elias_url_templates[kind]->shape ? &object->prop[0].u.value : NULL;
}

/* A new object of this kind, which takes ownership of the fields. */
JSValue elias_new_url_object(JSContext *ctx, int kind, JSValue first, JSValue second) {
  JSProperty fields[ELIAS_URL_FIELDS];
  fields[0].u.value = first;
  fields[1].u.value = second;
  return JS_NewObjectFromShape(ctx, js_dup_shape(elias_url_templates[kind]->shape), JS_CLASS_OBJECT, fields);
}
