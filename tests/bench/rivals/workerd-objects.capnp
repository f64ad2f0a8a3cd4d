# workerd with one worker that has a class of Durable Objects, whose storage is in memory. Its script is put beside this
# file, and its port is given with --socket-addr.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [ (name = "main", worker = .worker) ],
  sockets = [ (name = "http", address = "127.0.0.1:0", http = (), service = "main") ],
);

const worker :Workerd.Worker = (
  modules = [ (name = "worker.js", esModule = embed "worker.js") ],
  compatibilityDate = "2026-01-01",
  durableObjectNamespaces = [ (className = "Counter", uniqueKey = "counter") ],
  durableObjectStorage = (inMemory = void),
  bindings = [ (name = "COUNTERS", durableObjectNamespace = "Counter") ],
);
