/* Of the hot swap (swap.c): the function objects of the heap get the code of their matches, and what the new version's
   declarations have made is joined to what there is. */

static JSVarRef *elias_replaced_variable(const EliasSwap *swap, JSVarRef *variable) {
  JSVarRef *other = variable ? elias_swap_map_get(&swap->variables, variable) : NULL;
  return other ? other : variable;
}

static void elias_replace_value(EliasSwap *swap, JSValue *value) {
  JSObject *other;
  if (JS_VALUE_GET_TAG(*value) != JS_TAG_OBJECT) return;
  other = elias_replaced(swap, JS_VALUE_GET_OBJ(*value));
  if (other != JS_VALUE_GET_OBJ(*value)) set_value(swap->ctx, value, js_dup(JS_MKPTR(JS_TAG_OBJECT, other)));
}

static void elias_replace_object(EliasSwap *swap, JSObject **object) {
  JSValue value;
  if (!*object) return;
  value = JS_MKPTR(JS_TAG_OBJECT, *object);
  elias_replace_value(swap, &value);
  *object = JS_VALUE_GET_OBJ(value);
}

static void elias_replace_variables(EliasSwap *swap, JSObject *function) {
  int at;
  for (at = 0; at < function->u.func.function_bytecode->closure_var_count; at++) {
    JSVarRef **variable = &function->u.func.var_refs[at], *other = elias_replaced_variable(swap, *variable);
    if (other != *variable) {
      js_incref(other);
      free_var_ref(swap->ctx->rt, *variable);
      *variable = other;
    }
    if (*variable && (*variable)->is_detached && !elias_swap_map_get(&swap->lived, *variable)) elias_replace_value(swap,
        (*variable)->pvalue);
  }
}

/* An object that the new version's declarations have made refers to the running version's classes from now on. Its private
   fields are those of the new version's class, which no method knows. */
static int elias_replace_in(EliasSwap *swap, JSObject *object) {
  JSContext *ctx = swap->ctx;
  JSObject *prototype = elias_replaced(swap, object->shape->proto);
  uint32_t at;
  for (at = 0; prototype != object->shape->proto && at < (uint32_t)object->shape->prop_count; at++) {
    JSAtom name = get_shape_prop(object->shape)[at].atom;
    if (name == JS_ATOM_NULL || name == JS_ATOM_Private_brand || JS_AtomGetKind(ctx, name) != JS_ATOM_KIND_PRIVATE) continue;
    JS_ThrowTypeError(ctx, "a new variable of the top level has an instance of a class with private fields");
    return -1;
  }
  if (prototype != object->shape->proto && JS_SetPrototypeInternal(ctx, JS_MKPTR(JS_TAG_OBJECT, object),
      JS_MKPTR(JS_TAG_OBJECT, prototype), true) < 0) return -1;
  for (at = 0; at < (uint32_t)object->shape->prop_count; at++) {
    int kind = get_shape_prop(object->shape)[at].flags & JS_PROP_TMASK;
    if (get_shape_prop(object->shape)[at].atom == JS_ATOM_NULL) continue;
    if (kind == JS_PROP_NORMAL) elias_replace_value(swap, &object->prop[at].u.value);
    if (kind == JS_PROP_GETSET) {
      elias_replace_object(swap, &object->prop[at].u.getset.getter);
      elias_replace_object(swap, &object->prop[at].u.getset.setter);
    }
  }
  if (object->class_id == JS_CLASS_ARRAY && object->fast_array)
    for (at = 0; at < object->u.array.count; at++) elias_replace_value(swap, &object->u.array.u.values[at]);
  if (elias_function(JS_MKPTR(JS_TAG_OBJECT, object))) elias_replace_object(swap, &object->u.func.home_object);
  return 0;
}

/* The variables that a function of the heap has with the code of its match. */
static JSVarRef **elias_variables_for(EliasSwap *swap, JSObject *function, int node) {
  JSContext *ctx = swap->ctx;
  int at, origin_at, found, match = swap->old.nodes[node].match;
  const JSFunctionBytecode *code = swap->new.nodes[match].code;
  JSObject *new = elias_swap_map_get(&swap->matches, function);
  JSVarRef **variables = js_mallocz(ctx, sizeof(*variables) * max_int(code->closure_var_count, 1));
  char name[64], title[64];
  if (!variables) return NULL;
  for (at = 0; at < code->closure_var_count; at++) {
    JSVarRef *variable = NULL;
    origin_at = at;
    if (new) variable = elias_replaced_variable(swap, new->u.func.var_refs[at]);
    else if (elias_origin(&swap->new, match, &origin_at) == ELIAS_OF_MODULE) {
      variable = elias_replaced_variable(swap, swap->next->u.func.var_refs[origin_at]);
    } else {
      found = elias_captured(swap, node, &code->closure_var[at]);
      if (found >= 0) variable = function->u.func.var_refs[found];
      else {
        if (found == -1)
          JS_ThrowTypeError(ctx, "%s captures %s, which it does not in the running version",
                            elias_title(ctx, code, title, sizeof(title)),
                            JS_AtomGetStr(ctx, name, sizeof(name), code->closure_var[at].var_name));
        while (at-- > 0) if (variables[at]) free_var_ref(ctx->rt, variables[at]);
        js_free(ctx, variables);
        return NULL;
      }
    }
    if (variable) js_incref(variable);
    variables[at] = variable;
  }
  return variables;
}

/* Whether two functions make the same functions, by how those begin, in their order. */
static bool elias_makes_same(EliasSwap *swap, int old_node, int new_node) {
  const EliasNode *old = swap->old.nodes, *new = swap->new.nodes;
  int old_at = old_node + 1, new_at = new_node + 1;
  while (old_at < old[old_node].end && new_at < new[new_node].end && old[old_at].title == new[new_at].title) {
    old_at = old[old_at].end;
    new_at = new[new_at].end;
  }
  return old_at == old[old_node].end && new_at == new[new_node].end;
}

/* Whether the class that a function is of, if it is of one that no declaration of the module has, can have its match. */
static bool elias_fits_class(EliasSwap *swap, int node) {
  const EliasNode *old = &swap->old.nodes[node], *new = &swap->new.nodes[old->match];
  if (!old->code->source && !elias_same_fields(old->code, new->code)) return false;
  return !elias_is_class(old->code) || old->parent == 0 || elias_makes_same(swap, old->parent, new->parent);
}

/* Puts the code of its match under a function. */
static int elias_put_code(EliasSwap *swap, JSObject *function, int node) {
  JSContext *ctx = swap->ctx;
  JSFunctionBytecode *old = function->u.func.function_bytecode, *code = swap->new.nodes[swap->old.nodes[node].match].code;
  JSObject *new = elias_swap_map_get(&swap->matches, function);
  JSObject *home = new ? elias_replaced(swap, new->u.func.home_object) : NULL;
  JSValueConst value = JS_MKPTR(JS_TAG_OBJECT, function);
  JSVarRef **variables, **before = function->u.func.var_refs;
  char title[64];
  int at;
  elias_title(ctx, code, title, sizeof(title));
  if (old->func_kind != code->func_kind && ((old->func_kind | code->func_kind) & JS_FUNC_GENERATOR))
    return JS_ThrowTypeError(ctx, "%s is a generator in one of the versions only", title), -1;
  if (!new && !elias_fits_class(swap, node))
    return JS_ThrowTypeError(ctx, "the members or the fields of a class within a function are others: %s", title), -1;
  if (code->need_home_object && !function->u.func.home_object && !home)
    return JS_ThrowTypeError(ctx, "%s uses super, which it does not in the running version", title), -1;
  variables = elias_variables_for(swap, function, node);
  if (!variables) return -1;
  if (home && !function->u.func.home_object)
    function->u.func.home_object = JS_VALUE_GET_OBJ(js_dup(JS_MKPTR(JS_TAG_OBJECT, home)));
  if (old->func_kind != code->func_kind) {
    JSClassID class_id = code->func_kind == JS_FUNC_ASYNC ? JS_CLASS_ASYNC_FUNCTION : JS_CLASS_BYTECODE_FUNCTION;
    JSValueConst prototype = class_id == JS_CLASS_ASYNC_FUNCTION ? ctx->class_proto[class_id] : ctx->function_proto;
    function->class_id = class_id;
    if (JS_SetPrototypeInternal(ctx, value, prototype, true) < 0) return -1;
  }
  function->u.func.function_bytecode = code;
  function->u.func.var_refs = variables;
  js_incref(code);
  for (at = 0; at < old->closure_var_count; at++)
    if (before[at]) free_var_ref(ctx->rt, before[at]);
  js_free(ctx, before);
  if (old->defined_arg_count != code->defined_arg_count && JS_DefinePropertyValue(ctx, value, JS_ATOM_length,
      js_int32(code->defined_arg_count), JS_PROP_CONFIGURABLE) < 0) return -1;
  JS_FreeValue(ctx, JS_MKPTR(JS_TAG_FUNCTION_BYTECODE, old));
  return 0;
}

/* A frame that waits ends on its old code, and takes that from its function: it gets one of its own. */
static int elias_keep_frame(EliasSwap *swap, JSStackFrame *frame) {
  JSContext *ctx = swap->ctx;
  JSObject *function = elias_function(frame->cur_func), *own;
  JSFunctionBytecode *code;
  JSValue value;
  int at, node = function ? elias_node(&swap->old, function->u.func.function_bytecode) : -1;
  if (node <= 0 || swap->old.nodes[node].match < 0) return 0;
  code = function->u.func.function_bytecode;
  value = JS_NewObjectProtoClass(ctx, function->shape->proto ? JS_MKPTR(JS_TAG_OBJECT, function->shape->proto) : JS_NULL,
      function->class_id);
  if (JS_IsException(value)) return -1;
  own = JS_VALUE_GET_OBJ(value);
  own->u.func.function_bytecode = code;
  js_incref(code);
  own->u.func.home_object = function->u.func.home_object ? JS_VALUE_GET_OBJ(js_dup(JS_MKPTR(JS_TAG_OBJECT,
      function->u.func.home_object))) : NULL;
  own->u.func.var_refs = js_mallocz(ctx, sizeof(JSVarRef *) * max_int(code->closure_var_count, 1));
  if (!own->u.func.var_refs) return JS_FreeValue(ctx, value), -1;
  for (at = 0; at < code->closure_var_count; at++) {
    own->u.func.var_refs[at] = function->u.func.var_refs[at];
    if (own->u.func.var_refs[at]) js_incref(own->u.func.var_refs[at]);
  }
  JS_FreeValue(ctx, frame->cur_func);
  frame->cur_func = value;
  /* It is not among the functions that get new code. */
  return elias_swap_map_put(ctx, &swap->lived, own, own);
}

static int elias_keep_frames(EliasSwap *swap) {
  int at;
  for (at = 0; at < swap->reached.count; at++) {
    JSGCObjectHeader *object = swap->reached.items[at];
    JSStackFrame *frame = NULL;
    if (JS_GC_TYPE(object) == JS_GC_OBJ_TYPE_ASYNC_FUNCTION) {
      if (((JSAsyncFunctionData *)object)->is_active) frame = &((JSAsyncFunctionData *)object)->func_state.frame;
    } else if (JS_GC_TYPE(object) == JS_GC_OBJ_TYPE_JS_OBJECT) {
      JSObject *generator = (JSObject *)object;
      if (generator->class_id == JS_CLASS_GENERATOR && generator->u.generator_data) {
        if (generator->u.generator_data->state != JS_GENERATOR_STATE_COMPLETED)
            frame = &generator->u.generator_data->func_state.frame;
      } else if (generator->class_id == JS_CLASS_ASYNC_GENERATOR && generator->u.async_generator_data) {
        if (generator->u.async_generator_data->state != JS_ASYNC_GENERATOR_STATE_COMPLETED)
            frame = &generator->u.async_generator_data->func_state.frame;
      }
    }
    if (frame && elias_keep_frame(swap, frame)) return -1;
  }
  return 0;
}

static int elias_put_codes(EliasSwap *swap) {
  JSContext *ctx = swap->ctx;
  EliasList functions = { NULL, 0, 0 };
  struct list_head *link;
  char title[64], around[64];
  int at, node, result = -1;
  for (at = 0; at < swap->reached.count; at++) {
    JSGCObjectHeader *object = swap->reached.items[at];
    if (JS_GC_TYPE(object) == JS_GC_OBJ_TYPE_JS_OBJECT && elias_list_add(ctx, &functions, object)) goto done;
  }
  /* And those that functions of the running version have made meanwhile, for new declarations. */
  list_for_each(link, &ctx->rt->gc_obj_list) {
    JSGCObjectHeader *object = list_entry(link, JSGCObjectHeader, link);
    if (JS_GC_TYPE(object) == JS_GC_OBJ_TYPE_JS_OBJECT && !elias_swap_map_get(&swap->lived, object) && elias_list_add(ctx,
        &functions, object)) goto done;
  }
  for (at = 0; at < functions.count; at++) {
    JSObject *function = elias_function(JS_MKPTR(JS_TAG_OBJECT, functions.items[at]));
    node = function ? elias_node(&swap->old, function->u.func.function_bytecode) : -1;
    if (node <= 0) continue;
    if (swap->old.nodes[node].match >= 0) {
      if (elias_put_code(swap, function, node)) goto done;
      continue;
    }
    while (swap->old.nodes[node].parent > 0 && !swap->old.nodes[node].is_removed && swap->old.nodes[node].match < 0)
        node = swap->old.nodes[node].parent;
    /* It goes on as it is, with the declaration that is gone. */
    if (swap->old.nodes[node].is_removed) continue;
    elias_title(ctx, function->u.func.function_bytecode, title, sizeof(title));
    JS_ThrowTypeError(ctx, "a function %s of %s lives, and the new version has none that can be told to be the same", title,
        elias_title(ctx, swap->old.nodes[node].code, around, sizeof(around)));
    goto done;
  }
  result = 0;
done:
  js_free(ctx, functions.items);
  return result;
}

/* Whether an object was made by the new version's declarations,
    and is not one that the running version's takes the place of. */
static JSObject *elias_new_object(EliasSwap *swap, struct list_head *link) {
  JSGCObjectHeader *object = list_entry(link, JSGCObjectHeader, link);
  bool is_new = JS_GC_TYPE(object) == JS_GC_OBJ_TYPE_JS_OBJECT && !elias_swap_map_get(&swap->lived, object) &&
      !elias_swap_map_get(&swap->objects, object);
  return is_new ? (JSObject *)object : NULL;
}

/* Has all that the new version's declarations have made be with the running version's classes and variables. */
static int elias_replace_all(EliasSwap *swap, JSModuleDef *module) {
  JSRuntime *rt = swap->ctx->rt;
  struct list_head *link;
  JSObject *object;
  int at;
  list_for_each(link, &rt->gc_obj_list) {
    object = elias_new_object(swap, link);
    if (object && elias_function(JS_MKPTR(JS_TAG_OBJECT, object))) elias_replace_variables(swap, object);
  }
  for (at = 0; at < module->export_entries_count; at++) {
    JSExportEntry *entry = &module->export_entries[at];
    JSVarRef *other;
    if (entry->export_type != JS_EXPORT_TYPE_LOCAL || !entry->u.local.var_ref) continue;
    other = elias_replaced_variable(swap, entry->u.local.var_ref);
    if (other == entry->u.local.var_ref) continue;
    js_incref(other);
    free_var_ref(rt, entry->u.local.var_ref);
    entry->u.local.var_ref = other;
  }
  /* What only the new version's classes have left, such as first values of static fields that are kept, is no matter. */
  JS_RunGC(rt);
  list_for_each(link, &rt->gc_obj_list) {
    object = elias_new_object(swap, link);
    if (object && elias_replace_in(swap, object)) return -1;
  }
  return 0;
}

static JSModuleDef *elias_find_module(JSContext *ctx, const char *name) {
  struct list_head *link;
  char text[128];
  list_for_each(link, &ctx->loaded_modules) {
    JSModuleDef *module = list_entry(link, JSModuleDef, link);
    if (!strcmp(JS_AtomGetStr(ctx, text, sizeof(text), module->module_name), name)) return module;
  }
  return NULL;
}

static JSModuleDef *elias_swap_in(EliasSwap *swap, const char *name, const char *source, size_t length, const char *file) {
  JSContext *ctx = swap->ctx;
  JSModuleDef *running = elias_swapped_module ? elias_swapped_module : elias_find_module(ctx, name), *module;
  JSValue compiled, thrown;
  if (!running || !elias_function(running->func_obj)) return JS_ThrowTypeError(ctx, "the heap has no module %s", name), NULL;
  swap->running = JS_VALUE_GET_OBJ(running->func_obj);
  if (elias_reach_all(swap)) return NULL;
  compiled = __JS_EvalInternal(ctx, JS_UNDEFINED, source, length, file, 1, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY, -1);
  if (JS_IsException(compiled)) return NULL;
  module = JS_VALUE_GET_PTR(compiled);
  if (module->has_tla) return JS_ThrowTypeError(ctx, "the top level awaits"), NULL;
  if (js_create_module_function(ctx, module)) return NULL;
  swap->next = JS_VALUE_GET_OBJ(module->func_obj);
  if (elias_take_over_variables(swap) || js_link_module(ctx, module)) return NULL;
  module->status = JS_MODULE_STATUS_EVALUATED;
  if (js_execute_sync_module(ctx, module, &thrown)) return JS_Throw(ctx, thrown), NULL;
  if (elias_add_nodes(ctx, &swap->old, swap->running->u.func.function_bytecode, -1, 0)) return NULL;
  if (elias_add_nodes(ctx, &swap->new, swap->next->u.func.function_bytecode, -1, 0)) return NULL;
  if (elias_refuse_static_blocks(swap) || elias_pair_declarations(swap) || elias_match_rest(swap)) return NULL;
  if (elias_keep_frames(swap) || elias_put_codes(swap) || elias_replace_all(swap, module)) return NULL;
  elias_swapped_module = module;
  JS_FreeValue(ctx, compiled);
  return module;
}

static void elias_free_swap(EliasSwap *swap) {
  JSContext *ctx = swap->ctx;
  elias_let_go(swap);
  js_free(ctx, swap->reached.items);
  js_free(ctx, swap->variable_pairs.items);
  js_free(ctx, swap->lived.entries);
  js_free(ctx, swap->matches.entries);
  js_free(ctx, swap->variables.entries);
  js_free(ctx, swap->objects.entries);
  js_free(ctx, swap->declared.entries);
  js_free(ctx, swap->old.by_code.entries);
  js_free(ctx, swap->new.by_code.entries);
  js_free(ctx, swap->old.nodes);
  js_free(ctx, swap->new.nodes);
  js_free(ctx, swap->statements);
}

/* Puts another version under the objects of the heap, whose module has this name. Gives the namespace of the new version's
   module, whose frames have the name `file`; an exception if it does not fit, after which the heap is to be put back. */
JSValue elias_swap_module(JSContext *ctx, const char *name, const char *source, size_t length, const char *file) {
  EliasSwap swap = { .ctx = ctx };
  JSModuleDef *module;
  JSValue exports;
  size_t threshold = ctx->rt->malloc_gc_threshold;
  /* The collector would change the list in which new objects are found. */
  ctx->rt->malloc_gc_threshold = -1;
  elias_swap = &swap;
  module = elias_swap_in(&swap, name, source, length, file);
  elias_swap = NULL;
  ctx->rt->malloc_gc_threshold = threshold;
  if (!module) return JS_EXCEPTION;
  elias_free_swap(&swap);
  exports = JS_GetModuleNamespace(ctx, module);
  JS_RunGC(ctx->rt);
  return exports;
}
