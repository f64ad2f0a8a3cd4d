/* Responses without a script: the constructor of the commonest ones, and what the engine reads of one.

   The class stays the one in fetch/response.js, and with it all that is unusual. An instance is recognised by its
   shape: it has the fields of the class, in their order, and nothing else. */

enum { ELIAS_RESPONSE_STATUS, ELIAS_RESPONSE_STATUS_TEXT, ELIAS_RESPONSE_HEADERS, ELIAS_RESPONSE_BODY, ELIAS_RESPONSE_FIELDS };

/* All of them immortal once the build phase is over. */
static struct {
  JSObject *constructor, *class;
  /* A response to a text. */
  JSObject *template;
} elias_response;

static bool elias_is_text(JSValueConst value) {
  int tag = JS_VALUE_GET_TAG(value);
  return tag == JS_TAG_STRING || tag == JS_TAG_STRING_ROPE;
}

static JSValue elias_response_constructor(JSContext *ctx, JSValueConst new_target, int argc, JSValueConst *argv) {
  JSObject *template = elias_response.template;
  bool is_own = JS_VALUE_GET_OBJ(new_target) == elias_response.constructor;
  if (is_own && argc > 0 && elias_is_text(argv[0]) && (argc == 1 || JS_IsUndefined(argv[1]))) {
    JSProperty fields[ELIAS_RESPONSE_FIELDS];
    int at;
    for (at = 0; at < ELIAS_RESPONSE_BODY; at++) fields[at].u.value = js_dup(template->prop[at].u.value);
    fields[ELIAS_RESPONSE_BODY].u.value = js_dup(argv[0]);
    return JS_NewObjectFromShape(ctx, js_dup_shape(template->shape), JS_CLASS_OBJECT, fields);
  }
  return JS_CallConstructor2(ctx, JS_MKPTR(JS_TAG_OBJECT, elias_response.class),
                             is_own ? JS_MKPTR(JS_TAG_OBJECT, elias_response.class) : new_target, argc, argv);
}

/* The constructor that stands for `class`, of which `template` is the response to a text. It has no properties yet but name and
   length. */
JSValue elias_install_response(JSContext *ctx, JSValueConst class, JSValueConst template) {
  JSValue constructor = JS_NewCFunction2(ctx, elias_response_constructor, "Response", 0, JS_CFUNC_constructor, 0);
  if (JS_IsException(constructor)) return constructor;
  if (!JS_IsObject(template) || JS_VALUE_GET_OBJ(template)->shape->prop_count != ELIAS_RESPONSE_FIELDS) {
    JS_FreeValue(ctx, constructor);
    return JS_ThrowTypeError(ctx, "a response has %d fields", ELIAS_RESPONSE_FIELDS);
  }
  elias_response.class = JS_VALUE_GET_OBJ(js_dup(class));
  elias_response.template = JS_VALUE_GET_OBJ(js_dup(template));
  elias_response.constructor = JS_VALUE_GET_OBJ(js_dup(constructor));
  return constructor;
}

/* The fields of a response, in the order above; NULL if the value is none, or not as its class made it. */
JSValue *elias_response_fields(JSValueConst value) {
  JSObject *object;
  if (!JS_IsObject(value) || elias_response.template == NULL) return NULL;
  object = JS_VALUE_GET_OBJ(value);
  return object->shape == elias_response.template->shape ? &object->prop[0].u.value : NULL;
}

/* From now on keeps so many of the shapes that objects come past: patches/10-kept-shapes.patch. */
void elias_keep_shapes(uint32_t count) {
  elias_shapes_to_keep = count;
}
