/* Hot swap: puts the functions of another version of the application under the objects of a heap (docs/explanation/
   service-workers.md). The new version's module is compiled into the heap, where atoms, shapes and realm are the heap's own. Of
   its top level only the declarations of functions and classes run, and those of variables that the running version does not
   have (patches/15-swap-statements.patch); variables that both versions have stay the running version's. Functions are then
   matched by where they are and what they capture, and each function object of the heap gets the bytecode of its match.

   Whatever does not match is an exception that says why. Nothing is undone then: the host puts the memory back. */

typedef struct EliasMapEntry { void *key, *value; } EliasMapEntry;
typedef struct EliasMap { EliasMapEntry *entries; size_t size, count; } EliasMap;
typedef struct EliasList { void **items; int count, size; } EliasList;

static EliasMapEntry *elias_swap_map_entry(const EliasMap *map, const void *key) {
  size_t at = ((uintptr_t)key >> 3) * 2654435769u & (map->size - 1);
  while (map->entries[at].key && map->entries[at].key != key) at = (at + 1) & (map->size - 1);
  return &map->entries[at];
}

static void *elias_swap_map_get(const EliasMap *map, const void *key) {
  return map->size ? elias_swap_map_entry(map, key)->value : NULL;
}

static int elias_swap_map_put(JSContext *ctx, EliasMap *map, void *key, void *value) {
  EliasMapEntry *entry;
  size_t at;
  if (2 * (map->count + 1) > map->size) {
    EliasMap larger = { NULL, map->size ? 2 * map->size : 256, map->count };
    larger.entries = js_mallocz(ctx, larger.size * sizeof(EliasMapEntry));
    if (!larger.entries) return -1;
    for (at = 0; at < map->size; at++)
      if (map->entries[at].key) *elias_swap_map_entry(&larger, map->entries[at].key) = map->entries[at];
    js_free(ctx, map->entries);
    *map = larger;
  }
  entry = elias_swap_map_entry(map, key);
  if (!entry->key) map->count++;
  entry->key = key;
  entry->value = value;
  return 0;
}

static int elias_list_add(JSContext *ctx, EliasList *list, void *item) {
  if (js_resize_array(ctx, (void **)&list->items, sizeof(void *), &list->size, list->count + 1)) return -1;
  list->items[list->count++] = item;
  return 0;
}

/* A function of a module: its bytecode, the function that it is in (the module's own is the first), and its match. */
typedef struct EliasNode {
  JSFunctionBytecode *code;
  /* Of the function around it, of its match, and behind the last function within it. */
  int parent, match, end;
  int in_cpool;
  uint64_t title;
  /* Of the running version: its declaration is gone. */
  bool is_removed;
} EliasNode;

typedef struct EliasTree {
  EliasNode *nodes;
  int count, size;
  /* Numbers of nodes, from 1, by bytecode. */
  EliasMap by_code;
} EliasTree;

/* A statement of the new version's top level. */
typedef struct EliasStatement {
  int cpool_start, cpool_end;
  /* Whether its functions are found by the names that it declares: of functions, of a class, of new variables. */
  bool is_declaration;
  /* Whether it declares a class that the running version has, too. */
  bool is_known_class;
} EliasStatement;

/* How the new version declares a variable. */
typedef enum { ELIAS_KEPT, ELIAS_NEW, ELIAS_CLASS, ELIAS_FUNCTION } EliasDeclaration;

typedef struct EliasSwap {
  JSContext *ctx;
  /* The running version's module function, and the new one's. */
  JSObject *running, *next;
  EliasTree old, new;
  EliasStatement *statements;
  int statement_count, statement_size;
  /* Declarations by name, plus 1. */
  EliasMap declared;
  /* While a statement is parsed. */
  int globals_before, cpool_before, condition, label;
  bool is_class;
  /* What lived before, and is held meanwhile. */
  EliasMap lived;
  EliasList reached;
  bool is_out_of_memory;
  /* Function objects of the new version by those of the running one; its variables, classes and prototypes the other way
     round. */
  EliasMap matches, variables, objects;
  /* Pairs of variables, the running version's after the new one's. */
  EliasList variable_pairs;
} EliasSwap;

/* While the new version is compiled. */
static EliasSwap *elias_swap;

/* The module whose function has the variables of the heap, once it was swapped. */
static JSModuleDef *elias_swapped_module;

static const char *elias_title(JSContext *ctx, const JSFunctionBytecode *code, char *text, size_t size) {
  size_t length = 0;
  const char *source = code->source;
  if (source) {
    while (length < (size_t)code->source_len && !strchr("(={", source[length])) length++;
    while (length > 0 && source[length - 1] == ' ') length--;
  }
  if (length > 0) snprintf(text, size, "%.*s", (int)min_int(length, size - 1), source);
  else if (code->func_name != JS_ATOM_NULL && code->func_name != JS_ATOM_empty_string) JS_AtomGetStr(ctx, text, size,
      code->func_name);
  else snprintf(text, size, "%s", source ? "(without a name)" : "(fields)");
  return text;
}

static bool elias_is_in_word(uint8_t character) {
  return character >= 128 || isalnum(character) || character == '_' || character == '$';
}

static bool elias_is_class(const JSFunctionBytecode *code) {
  return code->source && code->source_len > 5 && !strncmp(code->source, "class", 5) && !elias_is_in_word(code->source[5]);
}

/* --- the top level of the new version --- */

static JSClosureVar *elias_variable(const JSFunctionBytecode *module, JSAtom name, int *at) {
  for (*at = 0; *at < module->closure_var_count; (*at)++) {
    JSClosureVar *variable = &module->closure_var[*at];
    if (variable->closure_type == JS_CLOSURE_MODULE_DECL && variable->var_name == name) return variable;
  }
  return NULL;
}

static const uint8_t *elias_skip_comments(const uint8_t *text, const uint8_t *end) {
  for (;;) {
    while (text < end && (*text == ' ' || (*text >= 9 && *text <= 13))) text++;
    if (end - text < 2 || text[0] != '/' || text[1] != '*') return text;
    for (text += 2; end - text >= 2 && !(text[0] == '*' && text[1] == '/'); text++) {}
    text = end - text >= 2 ? text + 2 : end;
  }
}

static bool elias_skip_word(const uint8_t **text, const uint8_t *end, const char *word) {
  size_t length = strlen(word);
  if ((size_t)(end - *text) <= length || memcmp(*text, word, length) || elias_is_in_word((*text)[length])) return false;
  *text = elias_skip_comments(*text + length, end);
  return true;
}

/* Whether a statement declares a class: by a declaration of its own, or as the value of a variable, as bundlers write it. */
static bool elias_declares_class(const uint8_t *text, const uint8_t *end) {
  elias_skip_word(&text, end, "export");
  if (elias_skip_word(&text, end, "class")) return true;
  if (!elias_skip_word(&text, end, "var") && !elias_skip_word(&text, end, "let") && !elias_skip_word(&text, end, "const"))
      return false;
  while (text < end && elias_is_in_word(*text)) text++;
  text = elias_skip_comments(text, end);
  if (text == end || *text != '=') return false;
  text = elias_skip_comments(text + 1, end);
  return elias_skip_word(&text, end, "class");
}

/* Called by js_parse_program before each statement of a module that is compiled for a swap. */
static void elias_begin_statement(JSParseState *s) {
  JSFunctionDef *function = s->cur_func;
  EliasSwap *swap = elias_swap;
  swap->is_class = elias_declares_class(s->token.ptr, s->buf_end);
  swap->globals_before = function->global_var_count;
  swap->cpool_before = function->cpool_count;
  emit_op(s, OP_push_true);
  swap->condition = function->last_opcode_pos;
  swap->label = emit_goto(s, OP_if_false, -1);
}

/* And after it: decides whether it runs. */
static int elias_end_statement(JSParseState *s) {
  JSFunctionDef *function = s->cur_func;
  EliasSwap *swap = elias_swap;
  const JSFunctionBytecode *running = swap->running->u.func.function_bytecode;
  EliasStatement *statement;
  int at, index, known = 0, functions = 0, count = function->global_var_count - swap->globals_before;
  char text[64];
  JSAtom first_known = JS_ATOM_NULL;
  bool runs;
  emit_label(s, swap->label);
  for (at = swap->globals_before; at < function->global_var_count; at++) {
    JSGlobalVar *variable = &function->global_vars[at];
    if (variable->cpool_idx >= 0) functions++;
    if (elias_variable(running, variable->var_name, &index)) {
      known++;
      first_known = variable->var_name;
    }
  }
  if (known > 0 && known < count) {
    JS_ThrowTypeError(s->ctx, "one statement declares %s and a variable that the running version does not have",
        JS_AtomGetStr(s->ctx, text, sizeof(text), first_known));
    return -1;
  }
  swap->is_class = swap->is_class && count == 1;
  runs = count > 0 && (known == 0 || swap->is_class);
  for (at = swap->globals_before; at < function->global_var_count; at++) {
    JSGlobalVar *variable = &function->global_vars[at];
    EliasDeclaration declaration = known == 0 ? ELIAS_NEW : swap->is_class ? ELIAS_CLASS : functions ? ELIAS_FUNCTION
        : ELIAS_KEPT;
    if (elias_swap_map_put(s->ctx, &swap->declared, (void *)(uintptr_t)variable->var_name,
        (void *)(uintptr_t)(declaration + 1))) return -1;
  }
  if (!runs) function->byte_code.buf[swap->condition] = OP_push_false;
  if (js_resize_array(s->ctx, (void **)&swap->statements, sizeof(EliasStatement), &swap->statement_size,
      swap->statement_count + 1)) return -1;
  statement = &swap->statements[swap->statement_count++];
  statement->cpool_start = swap->cpool_before;
  statement->cpool_end = function->cpool_count;
  statement->is_declaration = runs || functions > 0;
  statement->is_known_class = runs && known > 0;
  return 0;
}

/* --- what lives --- */

static void elias_reach_object(JSRuntime *rt, JSGCObjectHeader *object) {
  EliasSwap *swap = elias_swap;
  if (swap->is_out_of_memory || elias_swap_map_get(&swap->lived, object)) return;
  if (elias_swap_map_put(swap->ctx, &swap->lived, object, object) || elias_list_add(swap->ctx, &swap->reached, object))
      swap->is_out_of_memory = true;
}

/* Shapes change in place while they have one owner. */
static bool elias_is_held(JSGCObjectHeader *object) {
  return JS_GC_TYPE(object) != JS_GC_OBJ_TYPE_SHAPE && JS_GC_TYPE(object) != JS_GC_OBJ_TYPE_JS_CONTEXT;
}

/* Finds all objects of the heap. The immortal ones are in no list, so they are found by the references to them. */
static int elias_reach_all(EliasSwap *swap) {
  JSRuntime *rt = swap->ctx->rt;
  struct list_head *link;
  int at, held = 0;
  list_for_each(link, &rt->gc_obj_list) elias_reach_object(rt, list_entry(link, JSGCObjectHeader, link));
  list_for_each(link, &rt->context_list) elias_reach_object(rt, &list_entry(link, JSContext, link)->header);
  for (at = 0; at < swap->reached.count; at++) mark_children(rt, swap->reached.items[at], elias_reach_object);
  for (at = 0; at < swap->reached.count; at++) {
    if (!elias_is_held(swap->reached.items[at])) continue;
    js_incref(swap->reached.items[at]);
    swap->reached.items[held++] = swap->reached.items[at];
  }
  swap->reached.count = held;
  return swap->is_out_of_memory ? -1 : 0;
}

static void elias_let_go(EliasSwap *swap) {
  JSRuntime *rt = swap->ctx->rt;
  int at;
  for (at = 0; at < swap->reached.count; at++) {
    void *object = swap->reached.items[at];
    switch (JS_GC_TYPE(object)) {
      case JS_GC_OBJ_TYPE_JS_OBJECT: JS_FreeValueRT(rt, JS_MKPTR(JS_TAG_OBJECT, object)); break;
      case JS_GC_OBJ_TYPE_FUNCTION_BYTECODE: JS_FreeValueRT(rt, JS_MKPTR(JS_TAG_FUNCTION_BYTECODE, object)); break;
      case JS_GC_OBJ_TYPE_VAR_REF: free_var_ref(rt, object); break;
      case JS_GC_OBJ_TYPE_ASYNC_FUNCTION: js_async_function_free(rt, object); break;
      default: break;
    }
  }
}
