/* Force-included before QuickJS's C: what the engine needs of QuickJS's inside and its API does not give. The structures are
   private to quickjs.c, so this code is put into it: the macro below takes the place of the head of a function that is
   defined near its end, is called by no other, and has no declaration elsewhere. ELIAS_INSIDE_QUICKJS is the files of quickjs/,
   made into one macro by engine.sh. */
#define js_callsite_isnative(context, this_value, count, arguments) \
  js_callsite_isnative(context, this_value, count, arguments);      \
  ELIAS_EVAL_SWITCH                                                 \
  ELIAS_INSIDE_QUICKJS                                              \
  static JSValue js_callsite_isnative(context, this_value, count, arguments)

/* Whatever compiles a string as code goes through one pointer of the context: direct and indirect eval, and the constructors
   Function, GeneratorFunction, AsyncFunction and AsyncGeneratorFunction. */
#define ELIAS_EVAL_SWITCH                                                                                            \
  static JSValue elias_refuse_eval(JSContext *ctx, JSValueConst this_value, const char *input, size_t length,         \
                                   const char *file, int line, int flags, int scope) {                                \
    JSValue error = JS_MakeError2(ctx, JS_EVAL_ERROR, true,                                                           \
                                  "eval and new Function are switched off in this component; to switch them on, "     \
                                  "write `[build]` and under it `eval = true` in elias.toml and build again");        \
    return JS_IsException(error) ? error : JS_Throw(ctx, error);                                                      \
  }                                                                                                                   \
  void elias_allow_eval(JSContext *ctx, bool allow) {                                                                 \
    ctx->eval_internal = allow ? __JS_EvalInternal : elias_refuse_eval;                                               \
  }
