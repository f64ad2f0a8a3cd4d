/* Of the hot swap (swap.c): which function of the new version is in the place of which one of the running version. Functions
   and classes that the module declares are found by their names, members of classes by theirs, and all others by the function
   around them, how they begin, and their order. */

/* --- functions and what they capture --- */

static uint64_t elias_hash_title(JSContext *ctx, const JSFunctionBytecode *code) {
  char title[128];
  const char *at;
  uint64_t hash = 14695981039346656037u;
  for (at = elias_title(ctx, code, title, sizeof(title)); *at; at++) hash = (hash ^ (uint8_t)*at) * 1099511628211u;
  return hash;
}

static int elias_add_nodes(JSContext *ctx, EliasTree *tree, JSFunctionBytecode *code, int parent, int in_cpool) {
  int at, node = tree->count;
  if (js_resize_array(ctx, (void **)&tree->nodes, sizeof(EliasNode), &tree->size, tree->count + 1)) return -1;
  tree->nodes[tree->count++] = (EliasNode){ code, parent, -1, 0, in_cpool, elias_hash_title(ctx, code), false };
  if (elias_swap_map_put(ctx, &tree->by_code, code, (void *)(uintptr_t)(node + 1))) return -1;
  for (at = 0; at < code->cpool_count; at++)
    if (JS_VALUE_GET_TAG(code->cpool[at]) == JS_TAG_FUNCTION_BYTECODE)
      if (elias_add_nodes(ctx, tree, JS_VALUE_GET_PTR(code->cpool[at]), node, at)) return -1;
  tree->nodes[node].end = tree->count;
  return 0;
}

static int elias_node(const EliasTree *tree, const JSFunctionBytecode *code) {
  return (int)(uintptr_t)elias_swap_map_get(&tree->by_code, code) - 1;
}

static JSObject *elias_function(JSValueConst value) {
  JSObject *object;
  if (JS_VALUE_GET_TAG(value) != JS_TAG_OBJECT) return NULL;
  object = JS_VALUE_GET_OBJ(value);
  return js_class_has_bytecode(object->class_id) ? object : NULL;
}

/* Where the variable comes from that a function captures: a variable of the module (its index is then in `at`), a local one of
   the module's function, such as the scope of a class, or one of a function around it. */
typedef enum { ELIAS_OF_MODULE, ELIAS_OF_TOP_LEVEL, ELIAS_OF_FUNCTION } EliasOrigin;

static EliasOrigin elias_origin(const EliasTree *tree, int node, int *at) {
  for (;;) {
    const JSClosureVar *variable = &tree->nodes[node].code->closure_var[*at];
    int parent = tree->nodes[node].parent;
    if (parent < 0) return ELIAS_OF_MODULE;
    if (variable->closure_type == JS_CLOSURE_LOCAL || variable->closure_type == JS_CLOSURE_ARG) return parent == 0
        ? ELIAS_OF_TOP_LEVEL : ELIAS_OF_FUNCTION;
    *at = variable->var_idx;
    node = parent;
  }
}

/* The position among what a function of the running version captures of a variable that is not the module's; -1 if it does
   not capture it, -2 with an exception if it is of another kind there. */
static int elias_captured(EliasSwap *swap, int node, const JSClosureVar *wanted) {
  const JSFunctionBytecode *code = swap->old.nodes[node].code;
  char name[64], title[64];
  int at, origin_at;
  for (at = 0; at < code->closure_var_count; at++) {
    const JSClosureVar *variable = &code->closure_var[at];
    origin_at = at;
    if (variable->var_name != wanted->var_name || elias_origin(&swap->old, node, &origin_at) == ELIAS_OF_MODULE) continue;
    if (variable->var_kind == wanted->var_kind && variable->is_const == wanted->is_const &&
        variable->is_lexical == wanted->is_lexical) return at;
    JS_ThrowTypeError(swap->ctx, "%s captures %s, which is a variable of another kind", elias_title(swap->ctx, code, title,
        sizeof(title)), JS_AtomGetStr(swap->ctx, name, sizeof(name), wanted->var_name));
    return -2;
  }
  return -1;
}

static bool elias_same_value(JSContext *ctx, JSValueConst one, JSValueConst other);

/* Whether two functions are the same but for where they are in the source. */
static bool elias_same_code(JSContext *ctx, const JSFunctionBytecode *one, const JSFunctionBytecode *other) {
  int at;
  if (one->byte_code_len != other->byte_code_len || one->cpool_count != other->cpool_count ||
      one->closure_var_count != other->closure_var_count) return false;
  if (memcmp(one->byte_code_buf, other->byte_code_buf, one->byte_code_len)) return false;
  for (at = 0; at < one->closure_var_count; at++)
    if (one->closure_var[at].var_name != other->closure_var[at].var_name) return false;
  for (at = 0; at < one->cpool_count; at++)
    if (!elias_same_value(ctx, one->cpool[at], other->cpool[at])) return false;
  return true;
}

static bool elias_same_value(JSContext *ctx, JSValueConst one, JSValueConst other) {
  if (JS_VALUE_GET_TAG(one) != JS_VALUE_GET_TAG(other)) return false;
  if (JS_VALUE_GET_TAG(one) == JS_TAG_FUNCTION_BYTECODE) return elias_same_code(ctx, JS_VALUE_GET_PTR(one),
      JS_VALUE_GET_PTR(other));
  return js_same_value(ctx, one, other);
}

/* The functions directly within one; those of the module's function that are still to be matched. */
static int elias_inner_functions(const EliasTree *tree, int node, int *inner) {
  int at, count = 0;
  for (at = node + 1; at < tree->nodes[node].end; at = tree->nodes[at].end)
    if (tree->nodes[at].match < 0 && !tree->nodes[at].is_removed) inner[count++] = at;
  return count;
}

/* How many of these functions have the title and no match yet. */
static int elias_count_titles(const EliasNode *nodes, const int *functions, int count, uint64_t title) {
  int at, found = 0;
  for (at = 0; at < count; at++)
    if (nodes[functions[at]].match < 0 && nodes[functions[at]].title == title) found++;
  return found;
}

/* Matches the functions of one function, or of the statements that do not run: those with the same title in their order, if
   there are as many. Else those whose code is the same; at the top level that is refused, for what it would make is missing. */
static int elias_match_functions(EliasSwap *swap, const int *olds, int old_count, const int *news, int new_count,
    bool is_top_level) {
  EliasNode *old = swap->old.nodes, *new = swap->new.nodes;
  int at, other;
  char title[64];
  for (at = 0; at < old_count + new_count; at++) {
    bool is_old = at < old_count;
    const EliasNode *node = is_old ? &old[olds[at]] : &new[news[at - old_count]];
    int with_title_old, with_title_new;
    if (node->match >= 0) continue;
    with_title_old = elias_count_titles(old, olds, old_count, node->title);
    with_title_new = elias_count_titles(new, news, new_count, node->title);
    /* What makes static fields has no source, and has run. */
    if (with_title_old != with_title_new && is_top_level && node->code->source) {
      JS_ThrowTypeError(swap->ctx, "the top level makes a function %s %d times, and made it %d times in the running version",
                        elias_title(swap->ctx, node->code, title, sizeof(title)), with_title_new, with_title_old);
      return -1;
    }
    for (other = 0; is_old && other < new_count; other++) {
      EliasNode *candidate = &new[news[other]];
      if (candidate->match >= 0 || candidate->title != node->title) continue;
      if (with_title_old != with_title_new && !elias_same_code(swap->ctx, node->code, candidate->code)) continue;
      old[olds[at]].match = news[other];
      candidate->match = olds[at];
      break;
    }
  }
  return 0;
}

/* --- declarations that both versions have --- */

/* Remembers that a variable of the new version is one of the running version. */
static int elias_pair_variables(EliasSwap *swap, JSVarRef *new, JSVarRef *old) {
  if (new == old || elias_swap_map_get(&swap->variables, new)) return 0;
  if (elias_swap_map_put(swap->ctx, &swap->variables, new, old)) return -1;
  return elias_list_add(swap->ctx, &swap->variable_pairs, new) || elias_list_add(swap->ctx, &swap->variable_pairs, old) ? -1
      : 0;
}

/* Pairs two function objects: what the old one captures of the scope of its class is what the new one is to capture. */
static int elias_pair_functions(EliasSwap *swap, JSObject *old, JSObject *new) {
  int at, found, origin_at, old_node = elias_node(&swap->old, old->u.func.function_bytecode),
      new_node = elias_node(&swap->new, new->u.func.function_bytecode);
  const JSFunctionBytecode *code;
  /* A function that something else has put in its place stays. */
  if (old_node < 0 || new_node < 0 || swap->old.nodes[old_node].match >= 0 || swap->new.nodes[new_node].match >= 0) return 0;
  swap->old.nodes[old_node].match = new_node;
  swap->new.nodes[new_node].match = old_node;
  if (elias_swap_map_put(swap->ctx, &swap->matches, old, new)) return -1;
  code = swap->new.nodes[new_node].code;
  for (at = 0; at < code->closure_var_count; at++) {
    origin_at = at;
    if (elias_origin(&swap->new, new_node, &origin_at) == ELIAS_OF_MODULE) continue;
    found = elias_captured(swap, old_node, &code->closure_var[at]);
    if (found == -2) return -1;
    if (found >= 0 && elias_pair_variables(swap, new->u.func.var_refs[at], old->u.func.var_refs[found])) return -1;
  }
  return 0;
}

static JSObject *elias_prototype(JSObject *constructor) {
  JSProperty *property;
  JSShapeProperty *shape = find_own_property(&property, constructor, JS_ATOM_prototype);
  if (!shape || (shape->flags & JS_PROP_TMASK) || JS_VALUE_GET_TAG(property->u.value) != JS_TAG_OBJECT) return NULL;
  return JS_VALUE_GET_OBJ(property->u.value);
}

static JSObject *elias_replaced(const EliasSwap *swap, JSObject *object) {
  JSObject *other = object ? elias_swap_map_get(&swap->objects, object) : NULL;
  return other ? other : object;
}

static bool elias_is_method(JSValueConst value) {
  JSObject *function = elias_function(value);
  return function && !function->u.func.function_bytecode->has_prototype &&
      function->u.func.function_bytecode->new_target_allowed;
}

/* What a class's method, getter or setter is followed by: the new version's in the place of the old one's. */
static int elias_pair_member(EliasSwap *swap, JSObject *old, JSObject *new) {
  JSObject *old_function = old ? elias_function(JS_MKPTR(JS_TAG_OBJECT, old)) : NULL;
  JSObject *new_function = new ? elias_function(JS_MKPTR(JS_TAG_OBJECT, new)) : NULL;
  int node;
  if (old_function && new_function) return elias_pair_functions(swap, old_function, new_function);
  node = old_function ? elias_node(&swap->old, old_function->u.func.function_bytecode) : -1;
  if (node >= 0) swap->old.nodes[node].is_removed = true;
  return 0;
}

static bool elias_is_own_of_classes(JSAtom name, bool is_static) {
  if (name == JS_ATOM_constructor || name == JS_ATOM_Private_brand) return true;
  return is_static && (name == JS_ATOM_length || name == JS_ATOM_name || name == JS_ATOM_prototype);
}

/* Takes over the members of a class, or of its prototype: those of both versions are paired, new ones are defined, and methods
   that are gone are deleted. */
static int elias_pair_members(EliasSwap *swap, JSObject *old, JSObject *new, bool is_static) {
  JSContext *ctx = swap->ctx;
  JSShapeProperty *shape, *other;
  JSProperty *property, *other_property;
  JSValueConst holder = JS_MKPTR(JS_TAG_OBJECT, old);
  int at, kind, other_kind;
  for (at = 0; at < new->shape->prop_count; at++) {
    shape = &get_shape_prop(new->shape)[at];
    property = &new->prop[at];
    kind = shape->flags & JS_PROP_TMASK;
    if (shape->atom == JS_ATOM_NULL || elias_is_own_of_classes(shape->atom, is_static)) continue;
    if (JS_AtomGetKind(ctx, shape->atom) == JS_ATOM_KIND_PRIVATE) continue;
    other = find_own_property(&other_property, old, shape->atom);
    other_kind = other ? other->flags & JS_PROP_TMASK : -1;
    if (other && kind == other_kind && kind == JS_PROP_NORMAL) {
      JSObject *function = elias_function(property->u.value), *other_function = elias_function(other_property->u.value);
      /* Where something else has taken a method's place that stays, and so does the value of a static field. */
      if (function && other_function && elias_is_method(property->u.value) == elias_is_method(other_property->u.value) &&
          elias_pair_functions(swap, other_function, function)) return -1;
      continue;
    }
    if (other && kind == JS_PROP_GETSET && other_kind == JS_PROP_GETSET) {
      if (elias_pair_member(swap, other_property->u.getset.getter, property->u.getset.getter)) return -1;
      if (elias_pair_member(swap, other_property->u.getset.setter, property->u.getset.setter)) return -1;
      if (!other_property->u.getset.getter == !property->u.getset.getter &&
          !other_property->u.getset.setter == !property->u.getset.setter) continue;
    }
    if (other_kind == JS_PROP_NORMAL) elias_pair_member(swap, elias_function(other_property->u.value), NULL);
    if (other_kind == JS_PROP_GETSET && kind != JS_PROP_GETSET) {
      elias_pair_member(swap, other_property->u.getset.getter, NULL);
      elias_pair_member(swap, other_property->u.getset.setter, NULL);
    }
    if (kind == JS_PROP_GETSET) {
      /* A half that both have is the old one, which gets the new code. */
      JSObject *getter = property->u.getset.getter, *setter = property->u.getset.setter;
      if (getter && other_kind == JS_PROP_GETSET && other_property->u.getset.getter) getter = other_property->u.getset.getter;
      if (setter && other_kind == JS_PROP_GETSET && other_property->u.getset.setter) setter = other_property->u.getset.setter;
      if (other && JS_DeleteProperty(ctx, holder, shape->atom, JS_PROP_THROW) < 0) return -1;
      if (JS_DefineProperty(ctx, holder, shape->atom, JS_UNDEFINED, getter ? JS_MKPTR(JS_TAG_OBJECT, getter) : JS_UNDEFINED,
          setter ? JS_MKPTR(JS_TAG_OBJECT, setter) : JS_UNDEFINED,
                            JS_PROP_HAS_GET | JS_PROP_HAS_SET | JS_PROP_HAS_CONFIGURABLE | JS_PROP_HAS_ENUMERABLE |
                                JS_PROP_THROW | (shape->flags & JS_PROP_C_W_E)) < 0)
        return -1;
    } else if (kind == JS_PROP_NORMAL) {
      if (JS_DefinePropertyValue(ctx, holder, shape->atom, js_dup(property->u.value),
          JS_PROP_THROW | (shape->flags & JS_PROP_C_W_E)) < 0) return -1;
    }
  }
  for (at = 0; at < old->shape->prop_count; at++) {
    shape = &get_shape_prop(old->shape)[at];
    kind = shape->flags & JS_PROP_TMASK;
    if (shape->atom == JS_ATOM_NULL || elias_is_own_of_classes(shape->atom, is_static) || find_own_property(&other_property,
        new, shape->atom)) continue;
    property = &old->prop[at];
    if (kind == JS_PROP_NORMAL && elias_is_method(property->u.value)) elias_pair_member(swap,
        JS_VALUE_GET_OBJ(property->u.value), NULL);
    else if (kind == JS_PROP_GETSET && !is_static) {
      elias_pair_member(swap, property->u.getset.getter, NULL);
      elias_pair_member(swap, property->u.getset.setter, NULL);
    } else continue;
    if (JS_DeleteProperty(ctx, holder, shape->atom, JS_PROP_THROW) < 0) return -1;
    at = -1; /* what was behind it may be where it was */
  }
  return 0;
}

/* Whether the constructors of both versions make the same fields: what they define, in its order. */
static bool elias_same_fields(const JSFunctionBytecode *one, const JSFunctionBytecode *other) {
  const JSFunctionBytecode *codes[2] = { one, other };
  int positions[2] = { 0, 0 }, at, side;
  uint32_t found[2];
  for (;;) {
    for (side = 0; side < 2; side++) {
      const JSFunctionBytecode *code = codes[side];
      for (found[side] = 0; positions[side] < code->byte_code_len && !found[side];) {
        const uint8_t *at_code = code->byte_code_buf + positions[side];
        positions[side] += short_opcode_info(*at_code).size;
        if (*at_code == OP_define_field) found[side] = get_u32(at_code + 1);
        else if (*at_code == OP_define_private_field || *at_code == OP_define_array_el ||
            *at_code == OP_add_brand) found[side] = UINT32_MAX - *at_code;
      }
    }
    if (found[0] != found[1]) return false;
    if (!found[0]) break;
  }
  for (at = 0; at < other->closure_var_count; at++) {
    const JSClosureVar *variable = &other->closure_var[at];
    int in_one = 0;
    if (variable->var_kind != JS_VAR_PRIVATE_FIELD) continue;
    while (in_one < one->closure_var_count && one->closure_var[in_one].var_name != variable->var_name) in_one++;
    if (in_one == one->closure_var_count) return false;
  }
  return true;
}

/* The function that makes the fields of a class's instances, undefined if it has none. */
static JSValue elias_fields_of(JSObject *constructor) {
  const JSFunctionBytecode *code = constructor->u.func.function_bytecode;
  int at;
  for (at = 0; at < code->closure_var_count; at++)
    if (code->closure_var[at].var_name == JS_ATOM_class_fields_init) return *constructor->u.func.var_refs[at]->pvalue;
  return JS_UNDEFINED;
}

/* Whether a class extends the same as before. A class that a function of the module has made, such as a mixin, was made anew:
   the one that there is stays in its place. */
static bool elias_same_parent(EliasSwap *swap, JSObject *old, JSObject *new) {
  JSFunctionBytecode *old_code, *new_code;
  const EliasNode *nodes = swap->old.nodes;
  int old_node, new_node, new_parent;
  if (elias_replaced(swap, new) == old) return true;
  if (!old || !new || !js_class_has_bytecode(old->class_id) || !js_class_has_bytecode(new->class_id)) return false;
  old_code = old->u.func.function_bytecode;
  new_code = new->u.func.function_bytecode;
  old_node = elias_node(&swap->old, old_code);
  if (old_node < 0 || nodes[old_node].parent <= 0 || !elias_is_class(old_code) || !elias_is_class(new_code)) return false;
  if (old_code != new_code) {
    new_node = elias_node(&swap->new, new_code);
    new_parent = new_node < 0 ? -1 : swap->new.nodes[new_node].parent;
    if (new_parent <= 0 || swap->new.nodes[new_node].title != nodes[old_node].title) return false;
    if (swap->new.nodes[new_parent].title != nodes[nodes[old_node].parent].title) return false;
  }
  if (!elias_prototype(old) || !elias_prototype(new)) return false;
  if (!elias_same_parent(swap, old->shape->proto, new->shape->proto)) return false;
  return !elias_swap_map_put(swap->ctx, &swap->objects, new, old) &&
         !elias_swap_map_put(swap->ctx, &swap->objects, elias_prototype(new), elias_prototype(old));
}

static int elias_pair_classes(EliasSwap *swap, JSAtom name, JSObject *old, JSObject *new) {
  JSContext *ctx = swap->ctx;
  JSObject *old_prototype = elias_prototype(old), *new_prototype = elias_prototype(new), *old_fields, *new_fields;
  JSProperty *property;
  char text[64];
  JS_AtomGetStr(ctx, text, sizeof(text), name);
  if (!elias_same_parent(swap, old->shape->proto, new->shape->proto) ||
      elias_replaced(swap, new_prototype->shape->proto) != old_prototype->shape->proto) {
    JS_ThrowTypeError(ctx, "the class %s extends another class than it did", text);
    return -1;
  }
  if (!find_own_property(&property, old_prototype, JS_ATOM_Private_brand) != !find_own_property(&property, new_prototype,
      JS_ATOM_Private_brand)) {
    JS_ThrowTypeError(ctx, "the class %s has private methods in one of the versions only", text);
    return -1;
  }
  old_fields = elias_function(elias_fields_of(old));
  new_fields = elias_function(elias_fields_of(new));
  if (!old_fields != !new_fields || (old_fields && !elias_same_fields(old_fields->u.func.function_bytecode,
      new_fields->u.func.function_bytecode))) {
    JS_ThrowTypeError(ctx, "the fields of the class %s are others than they were", text);
    return -1;
  }
  if (elias_pair_functions(swap, old, new)) return -1;
  if (elias_pair_members(swap, old_prototype, new_prototype, false)) return -1;
  return elias_pair_members(swap, old, new, true);
}

/* Marks the functions of a declaration that is gone, which stay as they are. */
static void elias_mark_removed(EliasSwap *swap, JSValueConst value) {
  JSObject *holders[2] = { elias_function(value), NULL };
  int side, at, node;
  if (!holders[0]) return;
  node = elias_node(&swap->old, holders[0]->u.func.function_bytecode);
  if (node >= 0) swap->old.nodes[node].is_removed = true;
  if (!elias_is_class(holders[0]->u.func.function_bytecode)) return;
  elias_mark_removed(swap, elias_fields_of(holders[0]));
  holders[1] = elias_prototype(holders[0]);
  for (side = 0; side < 2 && holders[side]; side++) {
    JSShapeProperty *shapes = get_shape_prop(holders[side]->shape);
    for (at = 0; at < holders[side]->shape->prop_count; at++) {
      JSProperty *property = &holders[side]->prop[at];
      int kind = shapes[at].flags & JS_PROP_TMASK;
      if (shapes[at].atom == JS_ATOM_NULL || shapes[at].atom == JS_ATOM_constructor) continue;
      if (kind == JS_PROP_GETSET) {
        elias_pair_member(swap, property->u.getset.getter, NULL);
        elias_pair_member(swap, property->u.getset.setter, NULL);
      } else if (kind == JS_PROP_NORMAL && elias_is_method(property->u.value)) elias_pair_member(swap,
          JS_VALUE_GET_OBJ(property->u.value), NULL);
    }
  }
}

static EliasDeclaration elias_declaration(const EliasSwap *swap, JSAtom name) {
  uintptr_t found = (uintptr_t)elias_swap_map_get(&swap->declared, (void *)(uintptr_t)name);
  return found ? (EliasDeclaration)(found - 1) : ELIAS_KEPT;
}

/* Has the new version's module have the variables of the running one, but for those of functions and classes. */
static int elias_take_over_variables(EliasSwap *swap) {
  const JSFunctionBytecode *next = swap->next->u.func.function_bytecode, *running = swap->running->u.func.function_bytecode;
  char text[64];
  int at, found;
  for (at = 0; at < next->closure_var_count; at++) {
    const JSClosureVar *variable = &next->closure_var[at], *other;
    if (variable->closure_type != JS_CLOSURE_MODULE_DECL) continue;
    other = elias_variable(running, variable->var_name, &found);
    if (!other || elias_declaration(swap, variable->var_name) != ELIAS_KEPT) continue;
    if (other->is_lexical != variable->is_lexical || other->is_const != variable->is_const) {
      JS_ThrowTypeError(swap->ctx, "%s is declared in another way than it was", JS_AtomGetStr(swap->ctx, text, sizeof(text),
          variable->var_name));
      return -1;
    }
    free_var_ref(swap->ctx->rt, swap->next->u.func.var_refs[at]);
    swap->next->u.func.var_refs[at] = swap->running->u.func.var_refs[found];
    js_incref(swap->running->u.func.var_refs[found]);
  }
  return 0;
}

static int elias_pair_declarations(EliasSwap *swap) {
  JSContext *ctx = swap->ctx;
  const JSFunctionBytecode *next = swap->next->u.func.function_bytecode, *running = swap->running->u.func.function_bytecode;
  char text[64];
  int pass, at, found;
  for (pass = 0; pass < 2; pass++) {
    for (at = 0; at < next->closure_var_count; at++) {
      const JSClosureVar *variable = &next->closure_var[at];
      EliasDeclaration declaration = elias_declaration(swap, variable->var_name);
      JSVarRef *new_variable = swap->next->u.func.var_refs[at], *old_variable;
      JSObject *old, *new;
      bool is_class = declaration == ELIAS_CLASS;
      if (variable->closure_type != JS_CLOSURE_MODULE_DECL || (!is_class && declaration != ELIAS_FUNCTION)) continue;
      if (!elias_variable(running, variable->var_name, &found)) continue;
      old_variable = swap->running->u.func.var_refs[found];
      old = elias_function(*old_variable->pvalue);
      new = elias_function(*new_variable->pvalue);
      JS_AtomGetStr(ctx, text, sizeof(text), variable->var_name);
      /* One that has another value by now keeps that. */
      if (pass == 1 && !is_class &&
          old->u.func.function_bytecode->func_name != new->u.func.function_bytecode->func_name) continue;
      if (!new || !old || elias_is_class(old->u.func.function_bytecode) != is_class) {
        JS_ThrowTypeError(ctx, "%s is %s, which it is not in the running version", text, is_class ? "a class" : "a function");
        return -1;
      }
      if (pass == 0) {
        if (elias_swap_map_put(ctx, &swap->variables, new_variable, old_variable) || elias_swap_map_put(ctx, &swap->objects,
            new, old)) return -1;
        if (is_class && elias_swap_map_put(ctx, &swap->objects, elias_prototype(new), elias_prototype(old))) return -1;
      } else if (is_class ? elias_pair_classes(swap, variable->var_name, old, new) : elias_pair_functions(swap, old, new))
          return -1;
    }
  }
  /* Functions in the scopes of classes: those that make fields, and private methods. */
  for (at = 0; at < swap->variable_pairs.count; at += 2) {
    JSVarRef *new_variable = swap->variable_pairs.items[at], *old_variable = swap->variable_pairs.items[at + 1];
    JSObject *new = elias_function(*new_variable->pvalue), *old = elias_function(*old_variable->pvalue);
    if (new && old && !elias_swap_map_get(&swap->objects, new) && elias_pair_functions(swap, old, new)) return -1;
  }
  for (at = 0; at < running->closure_var_count; at++)
    if (running->closure_var[at].closure_type == JS_CLOSURE_MODULE_DECL && !elias_variable(next,
        running->closure_var[at].var_name, &found))
      elias_mark_removed(swap, *swap->running->u.func.var_refs[at]->pvalue);
  return 0;
}

/* The statement of the top level that a function of the module is of. */
static const EliasStatement *elias_statement_of(const EliasSwap *swap, const EliasNode *node) {
  int at;
  for (at = 0; at < swap->statement_count; at++)
    if (node->in_cpool >= swap->statements[at].cpool_start && node->in_cpool < swap->statements[at].cpool_end)
      return &swap->statements[at];
  return NULL;
}

/* Static blocks of classes that are declared anew have run once more, and may have left something anywhere. */
static int elias_refuse_static_blocks(EliasSwap *swap) {
  const EliasNode *nodes = swap->new.nodes;
  const EliasStatement *statement;
  int node, around;
  for (node = 1; node < swap->new.count; node++) {
    around = nodes[node].parent;
    if (around <= 0 || nodes[around].parent != 0 || nodes[around].code->source) continue;
    if (!nodes[node].code->source || nodes[node].code->source[0] != '{') continue;
    statement = elias_statement_of(swap, &nodes[around]);
    if (!statement || !statement->is_known_class) continue;
    JS_ThrowTypeError(swap->ctx, "a class has a static block, which would run again");
    return -1;
  }
  return 0;
}

/* Matches the functions that are left: those of statements that did not run, and those within functions. */
static int elias_match_rest(EliasSwap *swap) {
  JSContext *ctx = swap->ctx;
  int *olds = js_malloc(ctx, sizeof(int) * swap->old.count), *news = js_malloc(ctx, sizeof(int) * swap->new.count);
  const EliasStatement *statement;
  int node, at, old_count, new_count, kept = 0, result = -1;
  if (!olds || !news) goto done;
  old_count = elias_inner_functions(&swap->old, 0, olds);
  new_count = elias_inner_functions(&swap->new, 0, news);
  for (at = 0; at < new_count; at++) {
    statement = elias_statement_of(swap, &swap->new.nodes[news[at]]);
    if (!statement || !statement->is_declaration) news[kept++] = news[at];
  }
  if (elias_match_functions(swap, olds, old_count, news, kept, true)) goto done;
  /* Functions come before those within them. */
  for (node = 1; node < swap->old.count; node++) {
    if (swap->old.nodes[node].match < 0) continue;
    old_count = elias_inner_functions(&swap->old, node, olds);
    if (old_count == 0) continue;
    new_count = elias_inner_functions(&swap->new, swap->old.nodes[node].match, news);
    if (elias_match_functions(swap, olds, old_count, news, new_count, false)) goto done;
  }
  result = 0;
done:
  js_free(ctx, olds);
  js_free(ctx, news);
  return result;
}
