/* The program's text for the function of the call that the running frame is at, for messages such as V8's
   "app.start is not a function" (patches/12-more-messages-of-v8.patch).

   Nothing of the source is kept, so the bytecode before the call is read once from its beginning, with texts in the
   place of values. Jumps only go forward within an expression, so one pass knows how many values there are at each
   instruction; a value of two branches has no text. If the number differs from the frame's own at the call, none is
   given. It costs a step for each instruction of the function, and only where an error is thrown. */
enum { ELIAS_SLOTS = 24, ELIAS_SLOT_BYTES = 80, ELIAS_LABELS = 32 };

typedef struct {
  JSContext *ctx;
  const JSFunctionBytecode *code;
  int depth;
  struct {
    int at, depth;
  } labels[ELIAS_LABELS];
  char slots[ELIAS_SLOTS][ELIAS_SLOT_BYTES];
} EliasTexts;

static const char elias_no_text[] = "(intermediate value)";

/* The text of the value that is `below` the uppermost. */
static char *elias_slot(EliasTexts *texts, int below) {
  int slot = texts->depth - 1 - below;
  return slot >= 0 && slot < ELIAS_SLOTS ? texts->slots[slot] : NULL;
}

static void elias_put_text(char *slot, const char *before, const char *text, const char *after) {
  char whole[3 * ELIAS_SLOT_BYTES];
  if (!slot) return;
  snprintf(whole, sizeof whole, "%s%s%s", before, text, after);
  snprintf(slot, ELIAS_SLOT_BYTES, "%s", strlen(whole) < ELIAS_SLOT_BYTES ? whole : elias_no_text);
}

static void elias_push_text(EliasTexts *texts, const char *before, const char *text, const char *after) {
  texts->depth++;
  elias_put_text(elias_slot(texts, 0), before, text, after);
}

static void elias_push_name(EliasTexts *texts, JSAtom name) {
  char text[ELIAS_SLOT_BYTES];
  if (name == JS_ATOM_NULL) return elias_push_text(texts, elias_no_text, "", "");
  elias_push_text(texts, JS_AtomGetStr(texts->ctx, text, sizeof text, name), "", "");
}

static void elias_push_variable(EliasTexts *texts, int index, bool argument) {
  const JSFunctionBytecode *code = texts->code;
  if (!argument) index += code->arg_count;
  elias_push_name(texts, code->vardefs ? code->vardefs[index].var_name : JS_ATOM_NULL);
}

/* Pushes a member of the value whose text this is. */
static void elias_push_member(EliasTexts *texts, const char *object, const char *key) {
  char of[ELIAS_SLOT_BYTES];
  size_t length = strlen(key);
  snprintf(of, sizeof of, "%s", object ? object : elias_no_text);
  if (length > 1 && key[0] == '"' && length < ELIAS_SLOT_BYTES) {
    char name[ELIAS_SLOT_BYTES];
    snprintf(name, sizeof name, ".%.*s", (int)length - 2, key + 1);
    return elias_push_text(texts, of, name, "");
  }
  if (key[0] == '.') return elias_push_text(texts, of, key, "");
  char name[ELIAS_SLOT_BYTES + 2];
  snprintf(name, sizeof name, "[%s]", key);
  elias_push_text(texts, of, name, "");
}

/* At a label, expects as many values as there are now and `added`. */
static void elias_expect(EliasTexts *texts, int at, int added) {
  for (int label = 0; label < ELIAS_LABELS; label++) {
    if (texts->labels[label].at > 0) continue;
    texts->labels[label].at = at;
    texts->labels[label].depth = texts->depth + added;
    return;
  }
}

static bool elias_is_goto(uint8_t code) { return code == OP_goto || code == OP_goto8 || code == OP_goto16; }

/* Comes to an instruction after another: where two branches meet, the uppermost value is that of either. */
static void elias_reach(EliasTexts *texts, int at, uint8_t after) {
  bool expected = false;
  for (int label = 0; label < ELIAS_LABELS; label++) {
    if (texts->labels[label].at != at) continue;
    texts->labels[label].at = 0;
    texts->depth = texts->labels[label].depth;
    expected = true;
  }
  if (expected && !elias_is_goto(after)) elias_put_text(elias_slot(texts, 0), elias_no_text, "", "");
  /* Code that is only jumped back to, with a value: that of a pattern, which lies before that of its value, or of a
     loop. */
  if (!expected && elias_is_goto(after) && short_opcode_info(texts->code->byte_code_buf[at]).n_pop > 0)
    elias_push_text(texts, elias_no_text, "", "");
}

/* Does to the texts what the instruction at `at` does to the values. */
static void elias_step(EliasTexts *texts, int at) {
  const uint8_t *code = texts->code->byte_code_buf + at;
  const JSOpCode *info = &short_opcode_info(code[0]);
  int popped = info->n_pop;
  char text[ELIAS_SLOT_BYTES], key[ELIAS_SLOT_BYTES];
  if (info->fmt == OP_FMT_npop || info->fmt == OP_FMT_npop_u16) popped += get_u16(code + 1);
  if (info->fmt == OP_FMT_npopx) popped += code[0] - OP_call0;
  switch (code[0]) {
    case OP_get_loc:
    case OP_get_loc_check: return elias_push_variable(texts, get_u16(code + 1), false);
    case OP_get_loc8: return elias_push_variable(texts, code[1], false);
    case OP_get_loc0_loc1:
      elias_push_variable(texts, 0, false);
      return elias_push_variable(texts, 1, false);
    case OP_get_loc0:
    case OP_get_loc1:
    case OP_get_loc2:
    case OP_get_loc3: return elias_push_variable(texts, code[0] - OP_get_loc0, false);
    case OP_get_arg: return elias_push_variable(texts, get_u16(code + 1), true);
    case OP_get_arg0:
    case OP_get_arg1:
    case OP_get_arg2:
    case OP_get_arg3: return elias_push_variable(texts, code[0] - OP_get_arg0, true);
    case OP_get_var_ref:
    case OP_get_var_ref_check: return elias_push_name(texts, texts->code->closure_var[get_u16(code + 1)].var_name);
    case OP_get_var_ref0:
    case OP_get_var_ref1:
    case OP_get_var_ref2:
    case OP_get_var_ref3: return elias_push_name(texts, texts->code->closure_var[code[0] - OP_get_var_ref0].var_name);
    case OP_get_var:
    case OP_get_var_undef: return elias_push_name(texts, get_u32(code + 1));
    case OP_push_this: return elias_push_text(texts, "this", "", "");
    case OP_undefined: return elias_push_text(texts, "undefined", "", "");
    case OP_null: return elias_push_text(texts, "null", "", "");
    case OP_push_atom_value:
      return elias_push_text(texts, "\"", JS_AtomGetStr(texts->ctx, text, sizeof text, get_u32(code + 1)), "\"");
    case OP_push_0:
    case OP_push_1:
    case OP_push_2:
    case OP_push_3:
    case OP_push_4:
    case OP_push_5:
    case OP_push_6:
    case OP_push_7:
      snprintf(text, sizeof text, "%d", code[0] - OP_push_0);
      return elias_push_text(texts, text, "", "");
    case OP_push_i8:
    case OP_push_i16:
    case OP_push_i32:
      snprintf(text, sizeof text, "%d", code[0] == OP_push_i8 ? (int8_t)code[1]
               : code[0] == OP_push_i16 ? (int16_t)get_u16(code + 1) : (int)get_u32(code + 1));
      return elias_push_text(texts, text, "", "");
    case OP_dup:
      snprintf(text, sizeof text, "%s", elias_slot(texts, 0) ? elias_slot(texts, 0) : elias_no_text);
      return elias_push_text(texts, text, "", "");
    case OP_get_length:
    case OP_get_field:
    case OP_get_field2:
      snprintf(text, sizeof text, "%s", elias_slot(texts, 0) ? elias_slot(texts, 0) : elias_no_text);
      key[0] = '.';
      JS_AtomGetStr(texts->ctx, key + 1, sizeof key - 1, code[0] == OP_get_length ? JS_ATOM_length : get_u32(code + 1));
      if (code[0] != OP_get_field2) texts->depth--;
      return elias_push_member(texts, text, key);
    case OP_get_array_el:
    case OP_get_array_el2:
      snprintf(text, sizeof text, "%s", elias_slot(texts, 1) ? elias_slot(texts, 1) : elias_no_text);
      snprintf(key, sizeof key, "%s", elias_slot(texts, 0) ? elias_slot(texts, 0) : elias_no_text);
      texts->depth -= code[0] == OP_get_array_el ? 2 : 1;
      return elias_push_member(texts, text, key);
    case OP_call:
    case OP_call0:
    case OP_call1:
    case OP_call2:
    case OP_call3:
    case OP_call_method:
      popped -= info->n_pop; /* the arguments alone */
      snprintf(text, sizeof text, "%s", elias_slot(texts, popped) ? elias_slot(texts, popped) : elias_no_text);
      texts->depth -= popped + info->n_pop;
      return elias_push_text(texts, text, "(...)", "");
  }
  texts->depth -= popped;
  for (int pushed = 0; pushed < info->n_push; pushed++) elias_push_text(texts, elias_no_text, "", "");
  switch (code[0]) {
    case OP_goto:
    case OP_if_true:
    case OP_if_false:
    case OP_catch: return elias_expect(texts, at + 1 + (int)get_u32(code + 1), 0);
    case OP_gosub: return elias_expect(texts, at + 1 + (int)get_u32(code + 1), 1);
    case OP_goto16: return elias_expect(texts, at + 1 + (int16_t)get_u16(code + 1), 0);
    case OP_goto8:
    case OP_if_true8:
    case OP_if_false8: return elias_expect(texts, at + 1 + (int8_t)code[1], 0);
  }
}

/* Reads the code of the frame up to the instruction that ends where the frame is; false if the frame has no code. */
static bool elias_read_texts(EliasTexts *texts, JSContext *ctx, JSStackFrame *frame, int *last) {
  int at = 0;
  texts->ctx = ctx;
  texts->code = frame ? elias_bytecode(frame) : NULL;
  texts->depth = 0;
  memset(texts->labels, 0, sizeof texts->labels);
  if (!texts->code || !frame->cur_pc) return false;
  int end = frame->cur_pc - texts->code->byte_code_buf;
  for (uint8_t after = OP_nop;;) {
    uint8_t code = texts->code->byte_code_buf[at];
    int next = at + short_opcode_info(code).size;
    elias_reach(texts, at, after);
    *last = at;
    if (next >= end) return next == end;
    elias_step(texts, at);
    if (texts->depth < 0) return false;
    after = code;
    at = next;
  }
}

/* The text of the function that is called with these arguments by the running frame; false if it is not known, or if
   it is not the frame's program that calls. */
static bool elias_callee_text(JSContext *ctx, JSValueConst *arguments, bool constructor, char *text, size_t size) {
  JSStackFrame *frame = ctx->rt->current_stack_frame;
  EliasTexts texts;
  int last;
  if (!arguments || !elias_read_texts(&texts, ctx, frame, &last)) return false;
  const uint8_t *call = texts.code->byte_code_buf + last;
  int count, below = 0;
  switch (call[0]) {
    case OP_call0:
    case OP_call1:
    case OP_call2:
    case OP_call3: count = call[0] - OP_call0; break;
    case OP_call_constructor: below = 1; /* new.target is between */
    /* fall through */
    case OP_call:
    case OP_tail_call:
    case OP_call_method:
    case OP_tail_call_method: count = get_u16(call + 1); break;
    case OP_apply: count = 2; break; /* this, or new.target, and the list of arguments */
    default: return false;
  }
  if (call[0] != OP_apply && constructor != (call[0] == OP_call_constructor)) return false;
  if ((const JSValue *)arguments + count != frame->var_buf + texts.code->var_count + texts.depth) return false;
  const char *slot = elias_slot(&texts, count + below);
  if (!slot || !*slot) return false;
  snprintf(text, size, "%s", slot);
  return true;
}
