/* Force-included before QuickJS's C, which has no hook where a promise reaction is made. quickjs.c attaches every
   reaction, of `then` and of `await` alike, in perform_promise_then, and calls the `then` of a foreign promise from a job.
   Both are given what src/native/async_context.rs makes of the handlers: functions that bring the async context back in
   which they were attached. In a component that has no AsyncLocalStorage that is what they were.

   The macros see declarations too. What they do depends on how the argument begins: a type is left alone. */
void *elias_reaction_handlers(void *ctx, void *handlers);
void elias_thenable_job(void *ctx, void *args);

#define perform_promise_then(ctx, promise, handlers, capability) \
  perform_promise_then(ctx, promise, ELIAS_HANDLERS_##handlers, capability)
#define ELIAS_HANDLERS_JSValueConst JSValueConst
#define ELIAS_HANDLERS_vc(handlers) elias_reaction_handlers(ctx, handlers)
#define ELIAS_HANDLERS_handlers elias_reaction_handlers(ctx, (void *)handlers)
#define ELIAS_HANDLERS_argv elias_reaction_handlers(ctx, (void *)argv)

#define JS_EnqueueJob(ctx, job, argc, argv) JS_EnqueueJob(ctx, ELIAS_JOB_##job, argc, argv)
#define ELIAS_JOB_JSJobFunc JSJobFunc
#define ELIAS_JOB_promise_reaction_job promise_reaction_job
#define ELIAS_JOB_js_promise_resolve_thenable_job (elias_thenable_job(ctx, args), js_promise_resolve_thenable_job)
#define ELIAS_JOB_js_dynamic_import_job js_dynamic_import_job
#define ELIAS_JOB_js_microtask_job js_microtask_job
#define ELIAS_JOB_js_finrec_job js_finrec_job
