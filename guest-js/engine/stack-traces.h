/* Force-included before QuickJS's C. Two things that QuickJS's stack traces lack, for which it has no hook:

   1. The async functions that wait for the one that failed. A function that goes on after an `await` is called by a job and
      has no caller on the stack; who waits for it is found through its promise's reactions. Looked for only when an Error
      gets its stack; a job costs two stores. Frames read `at async NAME (FILE:LINE:COLUMN)`, as V8 prints them.
   2. What was running when the instance was ended. A loop does not write down where it is, so each ten-thousandth turn of
      one does, where QuickJS looks for interrupts anyway. `elias_running` tells it from memory as it lies there: it
      allocates nothing and changes nothing, for the heap may be halfway through a change.

   The functions are in quickjs/stack_traces.c.

   As in inside-quickjs.h, macros take the place of the heads of functions; how they expand depends on how the first argument
   begins, so that calls and definitions differ. */

/* Definition: declares what calls it, and is left alone. Calls go to elias_build_backtrace. */
#define build_backtrace(context, ...) ELIAS_BACKTRACE_##context, __VA_ARGS__)
#define ELIAS_BACKTRACE_JSContext                                                                                       \
  elias_build_backtrace(JSContext *, JSValueConst, JSValueConst, const char *, int, int, int);                          \
  /* Stand in for the interpreter's variables where other functions look for interrupts. */                             \
  static struct { uint8_t *cur_pc; } elias_no_frame __attribute__((unused)), *const sf __attribute__((unused)) = &elias_no_frame; \
  static uint8_t *const pc __attribute__((unused)) = NULL;                                                              \
  static const JSValueConst *elias_reaction;                                                                            \
  static void build_backtrace(JSContext
#define ELIAS_BACKTRACE_ctx elias_build_backtrace(ctx
#define ELIAS_BACKTRACE_s elias_build_backtrace(s

#define js_poll_interrupts(context) ELIAS_POLL_##context)
#define ELIAS_POLL_JSContext js_poll_interrupts(JSContext
#define ELIAS_POLL_caller_ctx js_poll_interrupts(caller_ctx
#define ELIAS_POLL_ctx (unlikely(--ctx->interrupt_counter <= 0) && (sf->cur_pc = pc, __js_poll_interrupts(ctx))

/* Keeps the arguments of the running reaction: the functions that settle the promise which its handler's result is for. */
#define promise_reaction_job(context, count, arguments)              \
  elias_react(context, count, arguments);                            \
  static JSValue promise_reaction_job(context, count, arguments) {   \
    elias_reaction = argv;                                           \
    JSValue result = elias_react(ctx, argc, argv);                   \
    elias_reaction = NULL;                                           \
    return result;                                                   \
  }                                                                  \
  static JSValue elias_react(context, count, arguments)
