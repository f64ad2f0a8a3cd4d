/* The functions behind stack-traces.h. */
enum { ELIAS_ASYNC_FRAMES_MAX = 16, ELIAS_HOPS_MAX = 64, ELIAS_RUNNING_FRAMES_MAX = 16 };

static JSObject *elias_object_of_class(JSValueConst value, int class_id) {
  if (JS_VALUE_GET_TAG(value) != JS_TAG_OBJECT) return NULL;
  JSObject *object = JS_VALUE_GET_OBJ(value);
  return object->class_id == class_id ? object : NULL;
}

/* The promise that a reject function settles. */
static JSObject *elias_promise_of(JSValueConst reject) {
  JSObject *function = elias_object_of_class(reject, JS_CLASS_PROMISE_REJECT_FUNCTION);
  if (!function || !function->u.promise_function_data) return NULL;
  return elias_object_of_class(function->u.promise_function_data->promise, JS_CLASS_PROMISE);
}

static JSFunctionBytecode *elias_bytecode(const JSStackFrame *frame) {
  if (JS_VALUE_GET_TAG(frame->cur_func) != JS_TAG_OBJECT) return NULL;
  JSObject *function = JS_VALUE_GET_OBJ(frame->cur_func);
  return js_class_has_bytecode(function->class_id) ? function->u.func.function_bytecode : NULL;
}

/* The promise that a frame's async function, or async generator, settles next. */
static JSObject *elias_promise_of_frame(JSStackFrame *frame) {
  JSFunctionBytecode *bytecode = elias_bytecode(frame);
  if (bytecode && bytecode->func_kind == JS_FUNC_ASYNC)
    return elias_promise_of(container_of(frame, JSAsyncFunctionData, func_state.frame)->resolving_funcs[1]);
  if (bytecode && bytecode->func_kind == JS_FUNC_ASYNC_GENERATOR) {
    JSAsyncGeneratorData *generator = container_of(frame, JSAsyncGeneratorData, func_state.frame);
    if (list_empty(&generator->queue)) return NULL;
    return elias_promise_of(list_entry(generator->queue.next, JSAsyncGeneratorRequest, link)->resolving_funcs[1]);
  }
  return NULL;
}

/* The frame of the async function that waits for a promise, or for one that follows it. */
static JSStackFrame *elias_awaiting_frame(JSObject *promise) {
  for (int hops = 0; promise && hops < ELIAS_HOPS_MAX; hops++) {
    JSPromiseData *data = promise->u.promise_data;
    if (!data || data->promise_state != JS_PROMISE_PENDING || list_empty(&data->promise_reactions[1])) return NULL;
    JSPromiseReactionData *reaction = list_entry(data->promise_reactions[1].next, JSPromiseReactionData, link);
    JSValueConst handler = reaction->handler;
    JSObject *wrapper = elias_object_of_class(handler, JS_CLASS_C_FUNCTION_DATA);
    if (wrapper && wrapper->u.c_function_data_record->data_len > 0) {
      JSCFunctionDataRecord *record = wrapper->u.c_function_data_record;
      JSObject *generator = elias_object_of_class(record->data[0], JS_CLASS_ASYNC_GENERATOR);
      if (generator && record->func == js_async_generator_resolve_function)
        return generator->u.async_generator_data ? &generator->u.async_generator_data->func_state.frame : NULL;
      handler = record->data[0]; /* in case the async context is around it */
    }
    JSObject *awaiting = elias_object_of_class(handler, JS_CLASS_ASYNC_FUNCTION_REJECT);
    if (awaiting) {
      JSAsyncFunctionData *function = awaiting->u.async_function_data;
      return function && function->is_active ? &function->func_state.frame : NULL;
    }
    JSObject *passed_on = elias_promise_of(handler);
    promise = passed_on ? passed_on : elias_promise_of(reaction->resolving_funcs[1]);
  }
  return NULL;
}

/* The first of the async functions that wait for what runs; NULL where nothing does. */
static JSStackFrame *elias_first_awaiting(JSContext *ctx) {
  JSStackFrame *base = ctx->rt->current_stack_frame, *above = base;
  if (!base) return NULL;
  for (; base->prev_frame; base = base->prev_frame) above = base;
  if (elias_object_of_class(base->cur_func, JS_CLASS_C_FUNCTION_DATA)) base = above;
  JSObject *promise = elias_promise_of_frame(base);
  if (!promise && elias_reaction) promise = elias_promise_of(elias_reaction[1]);
  return elias_awaiting_frame(promise);
}

/* Where an error's stack is: inside an Error, a property of whatever else has one. */
static JSValue *elias_stack_of(JSValueConst error) {
  JSObject *object = elias_object_of_class(error, JS_CLASS_ERROR);
  JSProperty *property;
  if (object && JS_VALUE_GET_TAG(object->u.object_data) == JS_TAG_STRING) return &object->u.object_data;
  if (JS_VALUE_GET_TAG(error) != JS_TAG_OBJECT) return NULL;
  JSShapeProperty *shape = find_own_property(&property, JS_VALUE_GET_OBJ(error), JS_ATOM_stack);
  return shape && (shape->flags & JS_PROP_TMASK) == JS_PROP_NORMAL ? &property->u.value : NULL;
}

static void elias_build_backtrace(JSContext *ctx, JSValueConst error, JSValueConst filter, const char *file,
                                  int line, int column, int flags) {
  bool only_place = file && (flags & JS_BACKTRACE_FLAG_SINGLE_LEVEL);
  bool gets_stack = !ctx->rt->in_build_stack_trace && !only_place &&
                    (can_store_error_stack(error) || can_add_backtrace(error));
  (build_backtrace)(ctx, error, filter, file, line, column, flags); /* in brackets: not the macro */
  if (!gets_stack || JS_IsFunction(ctx, ctx->error_prepare_stack)) return;
  JSStackFrame *frame = elias_first_awaiting(ctx);
  JSValue *place = frame ? elias_stack_of(error) : NULL;
  if (!place) return;
  JSValue saved_exception = JS_GetException(ctx);
  JSValue held = js_dup(error);
  DynBuf text;
  js_dbuf_init(ctx, &text);
  const char *stack = JS_ToCString(ctx, *place);
  if (stack) dbuf_putstr(&text, stack);
  JS_FreeCString(ctx, stack);
  for (int count = 0; frame && count < ELIAS_ASYNC_FRAMES_MAX; count++) {
    JSFunctionBytecode *bytecode = elias_bytecode(frame);
    if (!bytecode || !frame->cur_pc) break;
    int at_column, at_line = find_line_num(ctx, bytecode, frame->cur_pc - bytecode->byte_code_buf - 1, &at_column);
    const char *name = get_func_name(ctx, frame->cur_func);
    const char *module = bytecode->filename ? JS_AtomToCString(ctx, bytecode->filename) : NULL;
    dbuf_printf(&text, "    at async %s (%s:%d:%d)\n", name && *name ? name : "<anonymous>", module ? module : "<null>",
                at_line, at_column);
    JS_FreeCString(ctx, name);
    JS_FreeCString(ctx, module);
    frame = elias_awaiting_frame(elias_promise_of_frame(frame));
  }
  if (stack && !dbuf_error(&text)) {
    JSValue longer = JS_NewStringLen(ctx, (char *)text.buf, text.size);
    place = elias_stack_of(held);
    if (!JS_IsException(longer) && place) {
      JSValue shorter = *place;
      *place = longer;
      JS_FreeValue(ctx, shorter);
    }
  }
  dbuf_free(&text);
  JS_FreeValue(ctx, held);
  JS_Throw(ctx, saved_exception);
}

static void elias_copy_name(JSValueConst function, char *name, int size) {
  JSProperty *property;
  JSShapeProperty *shape = find_own_property(&property, JS_VALUE_GET_OBJ(function), JS_ATOM_name);
  int length = 0;
  if (shape && (shape->flags & JS_PROP_TMASK) == JS_PROP_NORMAL &&
      JS_VALUE_GET_TAG(property->u.value) == JS_TAG_STRING) {
    JSString *string = JS_VALUE_GET_STRING(property->u.value);
    for (; length < (int)string->len && length < size - 1; length++) {
      int unit = string->is_wide_char ? str16(string)[length] : str8(string)[length];
      name[length] = unit >= ' ' && unit < 127 ? unit : '?';
    }
  }
  name[length] = 0;
}

/* Writes the running functions, innermost first, as a stack trace of at most `size` bytes; gives its length. */
size_t elias_running_functions(JSContext *ctx, char *text, size_t size) {
  size_t length = 0;
  JSStackFrame *frame = ctx->rt->current_stack_frame;
  for (int count = 0; frame && count < ELIAS_RUNNING_FRAMES_MAX; count++, frame = frame->prev_frame) {
    if (JS_VALUE_GET_TAG(frame->cur_func) != JS_TAG_OBJECT) continue;
    char name[100], module[100];
    elias_copy_name(frame->cur_func, name, sizeof name);
    JSFunctionBytecode *bytecode = elias_bytecode(frame);
    int added;
    if (bytecode) {
      int column = bytecode->col_num, line = bytecode->line_num;
      if (frame->cur_pc) line = find_line_num(ctx, bytecode, frame->cur_pc - bytecode->byte_code_buf - 1, &column);
      added = snprintf(text + length, size - length, "    at %s (%s:%d:%d)\n", *name ? name : "<anonymous>",
                       JS_AtomGetStrRT(ctx->rt, module, sizeof module, bytecode->filename), line, column);
    } else {
      added = snprintf(text + length, size - length, "    at %s (native)\n", *name ? name : "<anonymous>");
    }
    if (added < 0 || (size_t)added >= size - length) break;
    length += added;
  }
  return length;
}
