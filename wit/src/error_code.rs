//! Why a component is not loaded or an execution fails: the stable codes that hosts, platforms and clients share.

crate::error_codes! {
    /// Why a component is not loaded or an execution fails, as a name that stays the same from version to version.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum ErrorCode {
        /// The guest used up its fuel.
        OutOfFuel = "out-of-fuel", 500, "The component used up its CPU budget";
        /// The guest asked for more memory or table elements than its cap and failed without them.
        OutOfMemory = "out-of-memory", 500, "The component reached its memory cap";
        /// The wall clock ran out.
        Deadline = "deadline", 504, "The component did not respond in time";
        /// The guest recursed past its stack.
        StackOverflow = "stack-overflow", 500, "The component recursed too deeply";
        /// An exception left the handler.
        Exception = "exception", 500, "The component failed";
        /// The handler awaits a promise that nothing can settle.
        NeverSettles = "never-settles", 500, "The component waits for something that cannot happen";
        /// The guest executed a trapping instruction.
        Trap = "trap", 500, "The component crashed";
        /// The guest asked a function of the host for more at once than it does, or handed it more.
        HostCallTooLarge = "host-call-too-large", 500, "The component asked for too much at once";
        /// The guest ended without a response.
        NoResponse = "no-response", 500, "The component returned no response";
        /// The client read so slowly that another request was given the execution's place.
        SlowClient = "slow-client", 499, "The client read too slowly";
        /// The caller gave up.
        Cancelled = "cancelled", 499, "The request was cancelled";
        /// The request is not one that a component can be given.
        BadRequest = "bad-request", 400, "The request cannot be handled";
        /// The request's body is over its limit.
        RequestTooLarge = "request-too-large", 413, "The request is too large";
        /// The response's body is over its limit.
        ResponseTooLarge = "response-too-large", 500, "The response is too large";
        /// As many executions are under way as there may be.
        Overloaded = "overloaded", 503, "Too many requests are under way";
        /// Not a component: no WebAssembly, cut short, a core module, or invalid.
        BadComponent = "bad-component", 500, "The file is not a valid component";
        /// The component is over its size limit.
        ComponentTooLarge = "component-too-large", 500, "The component is too large";
        /// Compiling the component takes more than it may: CPU time, memory, or the size of its functions.
        CompileLimit = "compile-limit", 500, "The component takes too much to compile";
        /// The component imports what this host does not provide.
        ForeignImport = "foreign-import", 500, "The component has an import that the host does not provide";
        /// The component imports a capability that it was not granted.
        CapabilityDenied = "capability-denied", 500, "The component uses a capability that it was not granted";
        /// A grant is wrong.
        BadConfiguration = "bad-configuration", 500, "The component's configuration is wrong";
        /// The resource that a grant names cannot be reached or opened.
        CapabilityUnavailable = "capability-unavailable", 503, "A capability of the component is unavailable";
        /// The component has no handler for this kind of call.
        MissingExport = "missing-export", 501, "The component does not handle this kind of request";
        /// A thin component's engine is not known to this host.
        UnknownEngine = "unknown-engine", 500, "The host does not have the component's engine";
        /// The base of a thin component's memory is not known to this host.
        UnknownBase = "unknown-base", 500, "The host does not have the base of the component's memory";
        /// The component's engine is not the one that its manifest names.
        EngineMismatch = "engine-mismatch", 500, "The component was damaged or altered";
        /// A turn of a worker changed more of its heap than it may.
        TurnTooLarge = "turn-too-large", 500, "The worker changed too much at once";
        /// A further attempt of a worker's turn did not make the calls of a former one.
        NondeterministicTurn = "nondeterministic-turn", 500, "A further attempt of a turn went another way";
        /// A worker's heap belongs to another engine or image, or is in a format that this host does not read.
        HeapMismatch = "heap-mismatch", 500, "The worker's heap belongs to another version";
        /// A worker's heap was damaged or cut short.
        HeapDamaged = "heap-damaged", 500, "The worker's heap was damaged";
        /// The folder for compiled code cannot be used.
        CacheUnwritable = "cache-unwritable", 500, "The folder for compiled code cannot be used";
        /// A file could not be read.
        Io = "io", 500, "A file could not be read";
        /// A defect of the host.
        Internal = "internal", 500, "Internal error";
    }
}
