/* JSON.parse and JSON.stringify for what is common, several times as fast as QuickJS's own; whatever is not, from a reviver to
   a syntax error, is left to those, from the start, so that there is one source of messages and of unusual behaviour.

   This text becomes part of quickjs.c (see engine.sh and inside-quickjs.h), and so has no preprocessor directives and no
   comments of the other kind. Functions answer ELIAS_DONE, ELIAS_LEAVE to leave the whole to QuickJS, or ELIAS_FAILED with an
   exception; a value that has no JSON form answers ELIAS_NOTHING. */

enum {
  ELIAS_FAILED = -1, ELIAS_LEAVE = 0, ELIAS_DONE = 1, ELIAS_NOTHING = 2,
  /* Shapes of objects that a parser remembers, by their first key, and the most keys of one. */
  ELIAS_SHAPES = 32, ELIAS_SHAPE_KEYS_MAX = 64,
  /* Characters of a number that is copied to be read by strtod. */
  ELIAS_NUMBER_MAX = 63,
  /* Prototypes that a writer knows to have no toJSON. */
  ELIAS_PROTOTYPES = 4,
  /* How deep a writer goes into what is immortal without a mark on it. */
  ELIAS_UNMARKED_DEPTH = 16,
};

/* The end of the characters from `at` that stand for themselves in a string of JSON. */
static const uint8_t *elias_plain_end(const uint8_t *at, const uint8_t *end) {
  const uint64_t ones = ~0ULL / 255;
  while (end - at >= 8) {
    uint64_t eight, quote, backslash;
    memcpy(&eight, at, 8);
    quote = eight ^ (ones * '"');
    backslash = eight ^ (ones * '\\');
    if ((((eight - ones * 0x20) & ~eight) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)) & (ones * 0x80)) break;
    at += 8;
  }
  while (at < end && *at >= 0x20 && *at != '"' && *at != '\\') at++;
  return at;
}

/* What JSON.parse reads: a text of 8-bit characters. */
typedef struct {
  JSContext *ctx;
  const uint8_t *at, *end;
  /* Values whose array or object is not there yet; each is held. */
  JSValue *values;
  uint32_t count, size;
  /* Shapes of objects that were read, each held: the next with such a first key is guessed to have the same. */
  JSShape *shapes[ELIAS_SHAPES];
} EliasParser;

static int elias_parse_value(EliasParser *parser, JSValue *value);

static int elias_push(EliasParser *parser, JSValue value) {
  if (parser->count == parser->size) {
    uint32_t size = parser->size == 0 ? 64 : parser->size * 2;
    JSValue *values = js_realloc(parser->ctx, parser->values, size * sizeof(JSValue));
    if (values == NULL) {
      JS_FreeValue(parser->ctx, value);
      return ELIAS_FAILED;
    }
    parser->values = values;
    parser->size = size;
  }
  parser->values[parser->count++] = value;
  return ELIAS_DONE;
}

static inline void elias_skip_space(EliasParser *parser) {
  while (parser->at < parser->end && (*parser->at == ' ' || *parser->at == '\n' || *parser->at == '\r' || *parser->at == '\t')) parser->at++;
}

static int elias_hex_digit(uint8_t character) {
  if (character >= '0' && character <= '9') return character - '0';
  if (character >= 'a' && character <= 'f') return character - 'a' + 10;
  if (character >= 'A' && character <= 'F') return character - 'A' + 10;
  return -1;
}

/* A string whose first backslash is at `run`; the parser is after the opening quote. */
static int elias_parse_escaped(EliasParser *parser, const uint8_t *run, JSValue *value) {
  StringBuffer buffer;
  const uint8_t *start = parser->at;
  int outcome = ELIAS_FAILED;
  if (string_buffer_init(parser->ctx, &buffer, (int)(run - start) + 16)) return ELIAS_FAILED;
  for (;;) {
    uint32_t code = 0;
    if (string_buffer_write8(&buffer, start, (int)(run - start))) goto fail;
    if (run >= parser->end || *run < 0x20) goto leave;
    if (*run == '"') {
      parser->at = run + 1;
      *value = string_buffer_end(&buffer);
      return JS_IsException(*value) ? ELIAS_FAILED : ELIAS_DONE;
    }
    if (parser->end - run < 2) goto leave;
    switch (run[1]) {
      case '"': case '\\': case '/': code = run[1]; break;
      case 'b': code = '\b'; break;
      case 'f': code = '\f'; break;
      case 'n': code = '\n'; break;
      case 'r': code = '\r'; break;
      case 't': code = '\t'; break;
      case 'u': {
        int digit = 0, at;
        if (parser->end - run < 6) goto leave;
        for (at = 2; at < 6 && digit >= 0; at++) {
          digit = elias_hex_digit(run[at]);
          code = code << 4 | (uint32_t)(digit & 15);
        }
        if (digit < 0) goto leave;
        run += 4;
        break;
      }
      default: goto leave;
    }
    if (string_buffer_putc16(&buffer, code)) goto fail;
    start = run + 2;
    run = elias_plain_end(start, parser->end);
  }
leave:
  outcome = ELIAS_LEAVE;
fail:
  string_buffer_free(&buffer);
  return outcome;
}

static int elias_parse_string(EliasParser *parser, JSValue *value) {
  const uint8_t *start = ++parser->at;
  const uint8_t *end = elias_plain_end(start, parser->end);
  if (end >= parser->end) return ELIAS_LEAVE;
  if (*end == '\\') return elias_parse_escaped(parser, end, value);
  if (*end != '"') return ELIAS_LEAVE;
  parser->at = end + 1;
  *value = end == start ? js_empty_string(parser->ctx->rt) : js_new_string8_len(parser->ctx, (const char *)start, (int)(end - start));
  return JS_IsException(*value) ? ELIAS_FAILED : ELIAS_DONE;
}

static int elias_parse_number(EliasParser *parser, JSValue *value) {
  static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  const uint8_t *start = parser->at, *at = start, *end = parser->end;
  bool negative = *at == '-';
  uint64_t digits = 0;
  int count = 0, fraction = 0;
  if (negative) at++;
  if (at >= end || *at < '0' || *at > '9') return ELIAS_LEAVE;
  if (*at == '0' && at + 1 < end && at[1] >= '0' && at[1] <= '9') return ELIAS_LEAVE;
  for (; at < end && *at >= '0' && *at <= '9'; at++, count++) if (count < 16) digits = digits * 10 + (*at - '0');
  if (at < end && *at == '.') {
    if (++at >= end || *at < '0' || *at > '9') return ELIAS_LEAVE;
    for (; at < end && *at >= '0' && *at <= '9'; at++, count++, fraction++) if (count < 16) digits = digits * 10 + (*at - '0');
  }
  if (at < end && (*at == 'e' || *at == 'E')) {
    count = 99;
    if (++at < end && (*at == '+' || *at == '-')) at++;
    if (at >= end || *at < '0' || *at > '9') return ELIAS_LEAVE;
    while (at < end && *at >= '0' && *at <= '9') at++;
  }
  parser->at = at;
  if (count > 15) {
    char text[ELIAS_NUMBER_MAX + 1];
    if (at - start > ELIAS_NUMBER_MAX) return ELIAS_LEAVE;
    memcpy(text, start, at - start);
    text[at - start] = '\0';
    *value = js_float64(strtod(text, NULL));
  } else if (fraction > 0) {
    /* Both are exact, and so the quotient is rounded once. */
    double number = (double)digits / powers[fraction];
    *value = js_float64(negative ? -number : number);
  } else if (digits <= INT32_MAX && !(negative && digits == 0)) {
    *value = js_int32(negative ? -(int32_t)digits : (int32_t)digits);
  } else {
    *value = js_float64(negative ? -(double)digits : (double)digits);
  }
  return ELIAS_DONE;
}

static int elias_parse_array(EliasParser *parser, JSValue *value) {
  uint32_t base = parser->count, length;
  JSValue element, array;
  int outcome;
  parser->at++;
  elias_skip_space(parser);
  if (parser->at < parser->end && *parser->at == ']') {
    parser->at++;
  } else {
    for (;;) {
      outcome = elias_parse_value(parser, &element);
      if (outcome != ELIAS_DONE) return outcome;
      if (elias_push(parser, element) != ELIAS_DONE) return ELIAS_FAILED;
      elias_skip_space(parser);
      if (parser->at >= parser->end) return ELIAS_LEAVE;
      if (*parser->at == ']') break;
      if (*parser->at != ',') return ELIAS_LEAVE;
      parser->at++;
    }
    parser->at++;
  }
  array = JS_NewArray(parser->ctx);
  if (JS_IsException(array)) return ELIAS_FAILED;
  length = parser->count - base;
  if (length > 0) {
    JSObject *object = JS_VALUE_GET_OBJ(array);
    if (expand_fast_array(parser->ctx, object, length) < 0) {
      JS_FreeValue(parser->ctx, array);
      return ELIAS_FAILED;
    }
    memcpy(object->u.array.u.values, parser->values + base, length * sizeof(JSValue));
    object->u.array.count = length;
    object->prop[0].u.value = js_int32((int32_t)length);
    parser->count = base;
  }
  *value = array;
  return ELIAS_DONE;
}

/* A key: the characters between its quotes, and the parser at its value. A key with an escape is left to QuickJS. */
static int elias_parse_key(EliasParser *parser, const uint8_t **start, uint32_t *length) {
  const uint8_t *end;
  elias_skip_space(parser);
  if (parser->at >= parser->end || *parser->at != '"') return ELIAS_LEAVE;
  *start = ++parser->at;
  end = elias_plain_end(*start, parser->end);
  if (end >= parser->end || *end != '"') return ELIAS_LEAVE;
  *length = (uint32_t)(end - *start);
  parser->at = end + 1;
  elias_skip_space(parser);
  if (parser->at >= parser->end || *parser->at != ':') return ELIAS_LEAVE;
  parser->at++;
  return ELIAS_DONE;
}

static bool elias_key_is(JSContext *ctx, JSAtom atom, const uint8_t *key, uint32_t length) {
  JSString *name;
  if (__JS_AtomIsTaggedInt(atom)) return false;
  name = ctx->rt->atom_array[atom];
  return !name->is_wide_char && name->len == length && memcmp(str8(name), key, length) == 0;
}

/* Gives `object` a property, or a property that it has another value, which it takes. */
static int elias_define(JSContext *ctx, JSObject *object, JSAtom atom, JSValue value) {
  JSProperty *property;
  if (find_own_property(&property, object, atom) != NULL) {
    JS_FreeValue(ctx, property->u.value);
    property->u.value = value;
    return ELIAS_DONE;
  }
  property = add_property(ctx, object, atom, JS_PROP_C_W_E);
  if (property == NULL) {
    JS_FreeValue(ctx, value);
    return ELIAS_FAILED;
  }
  property->u.value = value;
  return ELIAS_DONE;
}

/* An object of the first `count` keys of `shape` and of the values that wait from `base` on. */
static JSValue elias_object_of(EliasParser *parser, JSShape *shape, uint32_t base, uint32_t count) {
  JSContext *ctx = parser->ctx;
  JSValue object;
  uint32_t at;
  if (shape != NULL && count == (uint32_t)shape->prop_count) {
    object = JS_NewObjectFromShape(ctx, js_dup_shape(shape), JS_CLASS_OBJECT, NULL);
    if (JS_IsException(object)) return object;
    for (at = 0; at < count; at++) JS_VALUE_GET_OBJ(object)->prop[at].u.value = parser->values[base + at];
    parser->count = base;
    return object;
  }
  object = JS_NewObject(ctx);
  if (JS_IsException(object)) return object;
  for (at = 0; at < count; at++) {
    JSValue value = parser->values[base + at];
    parser->values[base + at] = JS_UNDEFINED;
    if (elias_define(ctx, JS_VALUE_GET_OBJ(object), get_shape_prop(shape)[at].atom, value) != ELIAS_DONE) {
      JS_FreeValue(ctx, object);
      return JS_EXCEPTION;
    }
  }
  parser->count = base;
  return object;
}

static int elias_parse_object(EliasParser *parser, JSValue *value) {
  JSContext *ctx = parser->ctx;
  uint32_t base = parser->count, known = 0, length, slot = 0;
  JSShape *shape = NULL;
  /* Undefined as long as all keys are those of the guessed shape. */
  JSValue object = JS_UNDEFINED, member;
  const uint8_t *key;
  bool first = true;
  int outcome;
  parser->at++;
  elias_skip_space(parser);
  if (parser->at < parser->end && *parser->at == '}') {
    parser->at++;
    *value = JS_NewObject(ctx);
    return JS_IsException(*value) ? ELIAS_FAILED : ELIAS_DONE;
  }
  for (;;) {
    outcome = elias_parse_key(parser, &key, &length);
    if (outcome != ELIAS_DONE) goto fail;
    if (first) {
      slot = (length * 7 + (length > 0 ? key[0] + key[length - 1] * 3 : 0)) % ELIAS_SHAPES;
      /* Held, for what is within this object may put another in its place. */
      if (parser->shapes[slot] != NULL) shape = js_dup_shape(parser->shapes[slot]);
      first = false;
    }
    if (JS_IsUndefined(object)) {
      if (shape != NULL && known < (uint32_t)shape->prop_count && elias_key_is(ctx, get_shape_prop(shape)[known].atom, key, length)) {
        outcome = elias_parse_value(parser, &member);
        if (outcome == ELIAS_DONE) outcome = elias_push(parser, member);
        if (outcome != ELIAS_DONE) goto fail;
        known++;
        goto next;
      }
      object = elias_object_of(parser, known == 0 ? NULL : shape, base, known);
      if (JS_IsException(object)) {
        object = JS_UNDEFINED;
        outcome = ELIAS_FAILED;
        goto fail;
      }
    }
    {
      JSAtom atom;
      JSValue name = length == 0 ? js_empty_string(ctx->rt) : js_new_string8_len(ctx, (const char *)key, (int)length);
      outcome = ELIAS_FAILED;
      if (JS_IsException(name)) goto fail;
      atom = JS_NewAtomStr(ctx, JS_VALUE_GET_STRING(name));
      if (atom == JS_ATOM_NULL) goto fail;
      outcome = elias_parse_value(parser, &member);
      if (outcome == ELIAS_DONE) outcome = elias_define(ctx, JS_VALUE_GET_OBJ(object), atom, member);
      JS_FreeAtom(ctx, atom);
      if (outcome != ELIAS_DONE) goto fail;
    }
  next:
    elias_skip_space(parser);
    outcome = ELIAS_LEAVE;
    if (parser->at >= parser->end) goto fail;
    if (*parser->at == '}') break;
    if (*parser->at != ',') goto fail;
    parser->at++;
  }
  parser->at++;
  if (JS_IsUndefined(object)) {
    object = elias_object_of(parser, shape, base, known);
    outcome = ELIAS_FAILED;
    if (JS_IsException(object)) {
      object = JS_UNDEFINED;
      goto fail;
    }
  } else {
    JSShape *made = JS_VALUE_GET_OBJ(object)->shape;
    if (made->is_hashed && made->deleted_prop_count == 0 && made->prop_count <= ELIAS_SHAPE_KEYS_MAX && made != shape) {
      if (parser->shapes[slot] != NULL) js_free_shape(ctx->rt, parser->shapes[slot]);
      parser->shapes[slot] = js_dup_shape(made);
    }
  }
  if (shape != NULL) js_free_shape(ctx->rt, shape);
  *value = object;
  return ELIAS_DONE;
fail:
  if (shape != NULL) js_free_shape(ctx->rt, shape);
  JS_FreeValue(ctx, object);
  return outcome;
}

static bool elias_takes(EliasParser *parser, const char *word, int length) {
  if (parser->end - parser->at < length || memcmp(parser->at, word, length) != 0) return false;
  parser->at += length;
  return true;
}

static int elias_parse_value(EliasParser *parser, JSValue *value) {
  elias_skip_space(parser);
  if (parser->at >= parser->end) return ELIAS_LEAVE;
  switch (*parser->at) {
    case '"': return elias_parse_string(parser, value);
    case '{': case '[':
      if (js_check_stack_overflow(parser->ctx->rt, 0)) return ELIAS_LEAVE;
      return *parser->at == '{' ? elias_parse_object(parser, value) : elias_parse_array(parser, value);
    case 't': *value = JS_TRUE; return elias_takes(parser, "true", 4);
    case 'f': *value = JS_FALSE; return elias_takes(parser, "false", 5);
    case 'n': *value = JS_NULL; return elias_takes(parser, "null", 4);
    default: return elias_parse_number(parser, value);
  }
}

static JSValue elias_json_parse(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv) {
  EliasParser parser;
  JSValue text, value = JS_UNDEFINED;
  JSString *string;
  int outcome = ELIAS_LEAVE, at;
  if (argc > 1 && JS_IsFunction(ctx, argv[1])) return js_json_parse(ctx, this_value, argc, argv);
  switch (JS_VALUE_GET_TAG(argv[0])) {
    case JS_TAG_STRING: text = js_dup(argv[0]); break;
    case JS_TAG_STRING_ROPE: text = js_linearize_string_rope(ctx, argv[0]); break;
    default: return js_json_parse(ctx, this_value, argc, argv);
  }
  if (JS_IsException(text)) return text;
  string = JS_VALUE_GET_STRING(text);
  if (!string->is_wide_char) {
    memset(&parser, 0, sizeof(parser));
    parser.ctx = ctx;
    parser.at = str8(string);
    parser.end = parser.at + string->len;
    outcome = elias_parse_value(&parser, &value);
    if (outcome == ELIAS_DONE) {
      elias_skip_space(&parser);
      if (parser.at != parser.end) {
        JS_FreeValue(ctx, value);
        outcome = ELIAS_LEAVE;
      }
    }
    while (parser.count > 0) JS_FreeValue(ctx, parser.values[--parser.count]);
    js_free(ctx, parser.values);
    for (at = 0; at < ELIAS_SHAPES; at++) if (parser.shapes[at] != NULL) js_free_shape(ctx->rt, parser.shapes[at]);
  }
  if (outcome == ELIAS_LEAVE) {
    JSValueConst arguments[1] = { text };
    value = js_json_parse(ctx, this_value, 1, arguments);
  }
  JS_FreeValue(ctx, text);
  return outcome == ELIAS_FAILED ? JS_EXCEPTION : value;
}

/* What JSON.stringify writes: 8-bit characters, from the first wider one on 16-bit ones. */
typedef struct {
  JSContext *ctx;
  uint8_t *narrow;
  uint16_t *wide;
  uint32_t length, size;
  /* Prototypes that have no toJSON, and neither have theirs. No code of the application runs meanwhile. */
  JSObject *prototypes[ELIAS_PROTOTYPES];
  int prototype_count;
  /* Arrays and objects that are being written. */
  int depth;
} EliasWriter;

static int elias_write_value(EliasWriter *writer, JSValueConst value);

static int elias_grow(EliasWriter *writer, uint32_t more) {
  uint32_t size = writer->size == 0 ? 256 : writer->size;
  void *memory;
  if (more > JS_STRING_LEN_MAX - writer->length) return ELIAS_LEAVE;
  while (size - writer->length < more) size *= 2;
  memory = writer->wide != NULL ? js_realloc(writer->ctx, writer->wide, (size_t)size * 2) : js_realloc(writer->ctx, writer->narrow, size);
  if (memory == NULL) return ELIAS_FAILED;
  if (writer->wide != NULL) writer->wide = memory;
  else writer->narrow = memory;
  writer->size = size;
  return ELIAS_DONE;
}

static inline int elias_reserve(EliasWriter *writer, uint32_t more) {
  return writer->size - writer->length >= more && writer->size > 0 ? ELIAS_DONE : elias_grow(writer, more);
}

static int elias_widen(EliasWriter *writer) {
  uint32_t at, size = writer->size < 256 ? 256 : writer->size;
  uint16_t *wide;
  if (writer->wide != NULL) return ELIAS_DONE;
  wide = js_malloc(writer->ctx, (size_t)size * 2);
  if (wide == NULL) return ELIAS_FAILED;
  for (at = 0; at < writer->length; at++) wide[at] = writer->narrow[at];
  js_free(writer->ctx, writer->narrow);
  writer->narrow = NULL;
  writer->wide = wide;
  writer->size = size;
  return ELIAS_DONE;
}

static int elias_put(EliasWriter *writer, const uint8_t *characters, uint32_t count) {
  int outcome = elias_reserve(writer, count);
  uint32_t at;
  if (outcome != ELIAS_DONE) return outcome;
  if (writer->wide == NULL) memcpy(writer->narrow + writer->length, characters, count);
  else for (at = 0; at < count; at++) writer->wide[writer->length + at] = characters[at];
  writer->length += count;
  return ELIAS_DONE;
}

static inline int elias_put1(EliasWriter *writer, uint8_t character) {
  int outcome = elias_reserve(writer, 1);
  if (outcome != ELIAS_DONE) return outcome;
  if (writer->wide == NULL) writer->narrow[writer->length++] = character;
  else writer->wide[writer->length++] = character;
  return ELIAS_DONE;
}

static int elias_put_escape(EliasWriter *writer, uint32_t code) {
  static const char digits[] = "0123456789abcdef";
  uint8_t text[6] = { '\\', 'u', 0, 0, 0, 0 };
  switch (code) {
    case '"': case '\\': text[1] = (uint8_t)code; return elias_put(writer, text, 2);
    case '\b': text[1] = 'b'; return elias_put(writer, text, 2);
    case '\f': text[1] = 'f'; return elias_put(writer, text, 2);
    case '\n': text[1] = 'n'; return elias_put(writer, text, 2);
    case '\r': text[1] = 'r'; return elias_put(writer, text, 2);
    case '\t': text[1] = 't'; return elias_put(writer, text, 2);
    default:
      text[2] = digits[code >> 12 & 15];
      text[3] = digits[code >> 8 & 15];
      text[4] = digits[code >> 4 & 15];
      text[5] = digits[code & 15];
      return elias_put(writer, text, 6);
  }
}

static int elias_write_wide(EliasWriter *writer, const uint16_t *at, uint32_t length) {
  const uint16_t *end = at + length;
  int outcome = elias_widen(writer);
  for (; outcome == ELIAS_DONE && at < end; at++) {
    uint16_t code = *at;
    bool pair = code >= 0xd800 && code < 0xdc00 && at + 1 < end && at[1] >= 0xdc00 && at[1] < 0xe000;
    if (pair) {
      outcome = elias_reserve(writer, 2);
      if (outcome != ELIAS_DONE) return outcome;
      writer->wide[writer->length++] = code;
      writer->wide[writer->length++] = *++at;
    } else if (code < 0x20 || code == '"' || code == '\\' || (code >= 0xd800 && code < 0xe000)) {
      outcome = elias_put_escape(writer, code);
    } else {
      outcome = elias_reserve(writer, 1);
      if (outcome == ELIAS_DONE) writer->wide[writer->length++] = code;
    }
  }
  return outcome;
}

static int elias_write_string(EliasWriter *writer, JSString *string) {
  int outcome = elias_put1(writer, '"');
  if (outcome != ELIAS_DONE) return outcome;
  if (string->is_wide_char) {
    outcome = elias_write_wide(writer, str16(string), string->len);
  } else {
    const uint8_t *at = str8(string), *end = at + string->len;
    while (outcome == ELIAS_DONE && at < end) {
      const uint8_t *plain = elias_plain_end(at, end);
      if (plain > at) outcome = elias_put(writer, at, (uint32_t)(plain - at));
      if (outcome == ELIAS_DONE && plain < end) outcome = elias_put_escape(writer, *plain++);
      at = plain;
    }
  }
  return outcome == ELIAS_DONE ? elias_put1(writer, '"') : outcome;
}

static int elias_write_integer(EliasWriter *writer, int64_t number) {
  uint8_t text[24], *at = text + sizeof(text);
  uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
  do *--at = (uint8_t)('0' + rest % 10); while ((rest /= 10) != 0);
  if (number < 0) *--at = '-';
  return elias_put(writer, at, (uint32_t)(text + sizeof(text) - at));
}

static int elias_write_double(EliasWriter *writer, double number) {
  JSValue text;
  int outcome;
  if (!isfinite(number)) return elias_put(writer, (const uint8_t *)"null", 4);
  if (number >= -1e15 && number <= 1e15 && number == (double)(int64_t)number) return elias_write_integer(writer, (int64_t)number);
  text = JS_ToString(writer->ctx, js_float64(number));
  if (JS_IsException(text)) return ELIAS_FAILED;
  outcome = elias_put(writer, str8(JS_VALUE_GET_STRING(text)), JS_VALUE_GET_STRING(text)->len);
  JS_FreeValue(writer->ctx, text);
  return outcome;
}

/* Whether neither `prototype` nor any of its own has a toJSON. */
static bool elias_is_plain(EliasWriter *writer, JSObject *prototype) {
  JSObject *at;
  JSProperty *property;
  int index;
  for (index = 0; index < writer->prototype_count; index++) if (writer->prototypes[index] == prototype) return true;
  for (at = prototype; at != NULL; at = at->shape->proto) {
    if (at->is_exotic && at->class_id != JS_CLASS_ARRAY) return false;
    if (find_own_property(&property, at, JS_ATOM_toJSON) != NULL) return false;
  }
  if (writer->prototype_count < ELIAS_PROTOTYPES) writer->prototypes[writer->prototype_count++] = prototype;
  return true;
}

static int elias_write_array(EliasWriter *writer, JSObject *array) {
  JSValue length = array->prop[0].u.value;
  uint32_t at;
  int outcome;
  /* Another property could be a toJSON; a length beyond the values means holes. */
  if (!array->fast_array || array->shape->prop_count != 1 || JS_VALUE_GET_TAG(length) != JS_TAG_INT) return ELIAS_LEAVE;
  if ((uint32_t)JS_VALUE_GET_INT(length) != array->u.array.count) return ELIAS_LEAVE;
  outcome = elias_put1(writer, '[');
  for (at = 0; outcome == ELIAS_DONE && at < array->u.array.count; at++) {
    if (at > 0) outcome = elias_put1(writer, ',');
    if (outcome == ELIAS_DONE) outcome = elias_write_value(writer, array->u.array.u.values[at]);
    if (outcome == ELIAS_NOTHING) outcome = elias_put(writer, (const uint8_t *)"null", 4);
  }
  return outcome == ELIAS_DONE ? elias_put1(writer, ']') : outcome;
}

static int elias_write_object(EliasWriter *writer, JSObject *object) {
  JSShape *shape = object->shape;
  bool more = false;
  int outcome = elias_put1(writer, '{'), at;
  for (at = 0; outcome == ELIAS_DONE && at < shape->prop_count; at++) {
    JSShapeProperty *property = &get_shape_prop(shape)[at];
    uint32_t before = writer->length;
    if (property->atom == JS_ATOM_NULL || !(property->flags & JS_PROP_ENUMERABLE)) {
      if (property->atom == JS_ATOM_toJSON) return ELIAS_LEAVE;
      continue;
    }
    /* Integers come first, a getter runs code. */
    if (__JS_AtomIsTaggedInt(property->atom) || (property->flags & JS_PROP_TMASK) || property->atom == JS_ATOM_toJSON) return ELIAS_LEAVE;
    if (JS_AtomGetKind(writer->ctx, property->atom) != JS_ATOM_KIND_STRING) continue;
    if (more) outcome = elias_put1(writer, ',');
    if (outcome == ELIAS_DONE) outcome = elias_write_string(writer, writer->ctx->rt->atom_array[property->atom]);
    if (outcome == ELIAS_DONE) outcome = elias_put1(writer, ':');
    if (outcome == ELIAS_DONE) outcome = elias_write_value(writer, object->prop[at].u.value);
    if (outcome == ELIAS_NOTHING) {
      writer->length = before;
      outcome = ELIAS_DONE;
    } else {
      more = true;
    }
  }
  return outcome == ELIAS_DONE ? elias_put1(writer, '}') : outcome;
}

static int elias_write_value(EliasWriter *writer, JSValueConst value) {
  JSObject *object;
  JSValue text;
  bool marked;
  int outcome;
  switch (JS_VALUE_GET_NORM_TAG(value)) {
    case JS_TAG_NULL: return elias_put(writer, (const uint8_t *)"null", 4);
    case JS_TAG_BOOL: return JS_VALUE_GET_BOOL(value) ? elias_put(writer, (const uint8_t *)"true", 4) : elias_put(writer, (const uint8_t *)"false", 5);
    case JS_TAG_INT: return elias_write_integer(writer, JS_VALUE_GET_INT(value));
    case JS_TAG_FLOAT64: return elias_write_double(writer, JS_VALUE_GET_FLOAT64(value));
    case JS_TAG_STRING: return elias_write_string(writer, JS_VALUE_GET_STRING(value));
    case JS_TAG_STRING_ROPE:
      text = js_linearize_string_rope(writer->ctx, value);
      if (JS_IsException(text)) return ELIAS_FAILED;
      outcome = elias_write_string(writer, JS_VALUE_GET_STRING(text));
      JS_FreeValue(writer->ctx, text);
      return outcome;
    case JS_TAG_UNDEFINED: case JS_TAG_SYMBOL: return ELIAS_NOTHING;
    case JS_TAG_OBJECT: break;
    default: return ELIAS_LEAVE;
  }
  object = JS_VALUE_GET_OBJ(value);
  /* A mark means that it is being written already: a circle, which QuickJS has the message for. */
  if (object->tmp_mark || js_check_stack_overflow(writer->ctx->rt, 0)) return ELIAS_LEAVE;
  if ((object->class_id != JS_CLASS_OBJECT && object->class_id != JS_CLASS_ARRAY) || !elias_is_plain(writer, object->shape->proto)) return ELIAS_LEAVE;
  /* A mark would be a write to what is immortal, and a circle leads deeper: it is found there. */
  marked = writer->depth >= ELIAS_UNMARKED_DEPTH || !js_is_immortal(object);
  if (marked) object->tmp_mark = 1;
  writer->depth++;
  outcome = object->class_id == JS_CLASS_ARRAY ? elias_write_array(writer, object) : elias_write_object(writer, object);
  writer->depth--;
  if (marked) object->tmp_mark = 0;
  return outcome;
}

static JSValue elias_json_stringify(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv) {
  EliasWriter writer;
  JSValue text = JS_UNDEFINED;
  int outcome = ELIAS_LEAVE;
  bool plain = (JS_IsUndefined(argv[1]) || JS_IsNull(argv[1])) && (JS_IsUndefined(argv[2]) || JS_IsNull(argv[2]));
  if (plain && (JS_IsObject(argv[0]) || JS_IsString(argv[0]))) {
    memset(&writer, 0, sizeof(writer));
    writer.ctx = ctx;
    outcome = elias_write_value(&writer, argv[0]);
    if (outcome == ELIAS_DONE && writer.wide == NULL) text = js_new_string8_len(ctx, (const char *)writer.narrow, (int)writer.length);
    if (outcome == ELIAS_DONE && writer.wide != NULL) text = js_new_string16_len(ctx, writer.wide, (int)writer.length);
    js_free(ctx, writer.narrow);
    js_free(ctx, writer.wide);
  }
  if (outcome == ELIAS_FAILED) return JS_EXCEPTION;
  return outcome == ELIAS_DONE ? text : js_json_stringify(ctx, this_value, argc, argv);
}

/* The value that a text of JSON stands for. */
JSValue elias_parse_json(JSContext *ctx, JSValueConst text) {
  JSValueConst arguments[1] = { text };
  return elias_json_parse(ctx, JS_UNDEFINED, 1, arguments);
}

/* Puts the two in the place of QuickJS's. */
void elias_install_json(JSContext *ctx) {
  JSValue json = JS_GetPropertyStr(ctx, ctx->global_obj, "JSON");
  int flags = JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE;
  JS_DefinePropertyValueStr(ctx, json, "parse", JS_NewCFunction(ctx, elias_json_parse, "parse", 2), flags);
  JS_DefinePropertyValueStr(ctx, json, "stringify", JS_NewCFunction(ctx, elias_json_stringify, "stringify", 3), flags);
  JS_FreeValue(ctx, json);
}
