/* What the engine needs of QuickJS's inside to make and read URLs and their parameters without a script:
   src/native/url/object.rs.

   The classes stay those in url.js, and with them all that is unusual. As with responses, an instance is recognised by its
   shape: it has the two fields of its class, in their order, and nothing else. */

enum { ELIAS_URL_KINDS = 2, ELIAS_URL_FIELDS = 2 };

/* A URL, and a URLSearchParams, as their classes make them; immortal once the build phase is over. */
static JSObject *elias_url_templates[ELIAS_URL_KINDS];

/* Takes an object as the one that others of its kind are recognised by. Whether it has the fields of one. */
bool elias_set_url_template(JSContext *ctx, int kind, JSValueConst template) {
  if (!JS_IsObject(template) || JS_VALUE_GET_OBJ(template)->shape->prop_count != ELIAS_URL_FIELDS) return false;
  elias_url_templates[kind] = JS_VALUE_GET_OBJ(js_dup(template));
  return true;
}

/* The fields of an object of this kind; NULL if the value is none, or not as its class made it. */
JSValue *elias_url_fields(JSValueConst value, int kind) {
  JSObject *object;
  if (!JS_IsObject(value) || elias_url_templates[kind] == NULL) return NULL;
  object = JS_VALUE_GET_OBJ(value);
  return object->shape == elias_url_templates[kind]->shape ? &object->prop[0].u.value : NULL;
}

/* An object of this kind with these fields, which become its own. */
JSValue elias_new_url_object(JSContext *ctx, int kind, JSValue first, JSValue second) {
  JSProperty fields[ELIAS_URL_FIELDS];
  fields[0].u.value = first;
  fields[1].u.value = second;
  return JS_NewObjectFromShape(ctx, js_dup_shape(elias_url_templates[kind]->shape), JS_CLASS_OBJECT, fields);
}
