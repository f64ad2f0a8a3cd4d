// elias/eiasw: service workers under the names of the architecture "everything is a service worker" (EIASW).
//
//     import { registry } from "elias/eiasw";
//
//     registry.register("counter", {
//       onStart: async (context) => { context.count = 0; },
//       onMessage: async ({ by }, context) => (context.count += by),
//     });
//     await registry.startAll();
//
// Each service is a worker whose class and name are the service's: what is in its context stays, and nothing is stored
// by hand. `workers.get("counter", "counter").send(message)` is the same as `registry.send("counter", message)`.

import type { Alarm, Socket, SocketRequest } from "./workers.js";

/** What a service does. All else of it is in `context`, an object that stays. */
export interface ServiceHandler<Context extends object = any> {
  /** Called when the service starts, each time. If it throws, the service is as it was before. */
  onStart?(context: Context): unknown;
  /** Handles a message; what it returns is the answer. `id` is the message's UUID. */
  onMessage?(message: any, context: Context, details: { readonly id: string }): unknown;
  /** Called when the service stops. */
  onStop?(context: Context): unknown;
  /** Called when an alarm of `worker.after` is due. */
  onAlarm?(alarm: Alarm, context: Context): unknown;
  /** Whether the service is well: it is unless this gives false, or throws. */
  onHealth?(context: Context): unknown;
  /** Called where the service comes from another version of the component. The context has been taken over. */
  onUpgrade?(from: { readonly version: string; readonly context: Context }, context: Context): unknown;
  /** Called when a client has opened a socket. */
  onOpen?(socket: Socket, request: SocketRequest, context: Context): unknown;
  /** Handles a message of a socket, a text or bytes. */
  onWebSocketMessage?(socket: Socket, message: string | Uint8Array, context: Context): unknown;
  /** Called when a socket is closed. */
  onClose?(socket: Socket, code: number, reason: string, context: Context): unknown;
}

/** What a service is doing. `error`: it could not be started or stopped, as far as this instance knows. */
export type ServiceCondition = "stopped" | "running" | "error";

/** The state of a service. */
export interface ServiceState {
  readonly name: string;
  readonly state: ServiceCondition;
  /** Messages of this instance that have no answer yet. */
  readonly queueLength: number;
  /** A copy. In one of another instance, what cannot be cloned is a text such as `[Function add]`. */
  readonly context: Record<string, any>;
}

/** A promise of an answer, with the UUID of its message. */
export type SentMessage = Promise<any> & { readonly id: string };

/** What listeners are given. */
export interface ServiceEvent {
  readonly name: string;
  /** The UUID of the message, where there is one. */
  readonly id?: string;
  /** With `error`: what was thrown. */
  readonly error?: Error;
}

/** Events of a service, which this instance has caused. */
export type ServiceEventName = "starting" | "started" | "stopping" | "stopped" | "restarted" | "message" | "error";

/** A service. It can be made by the top level only: the build has to know of it. */
export class ServiceWorker {
  constructor(name: string, handler: ServiceHandler);
  readonly name: string;
  /** In the service itself what it is; elsewhere what this instance has heard last, `stopped` at first. */
  readonly state: ServiceCondition;
  /** In the service itself its context; elsewhere a copy, as this instance has heard of it last. */
  readonly context: Record<string, any>;
  /** Starts it. Rejected if it runs. At the top level: has the first message start it. */
  start(): Promise<true>;
  /** Starts it if it does not run; whether it did not. */
  startIfStopped(): Promise<boolean>;
  /** Stops it. Its context stays. */
  stop(): Promise<true>;
  restart(): Promise<true>;
  /** Stops it, and empties its context. */
  forget(): Promise<void>;
  /** Sends a message. A handler that throws rejects the promise, and changes nothing. */
  send(message?: unknown): SentMessage;
  /** What this instance knows. Awaited, it is what the service says. */
  getState(): ServiceState & PromiseLike<ServiceState>;
  on(event: ServiceEventName, listener: (event: ServiceEvent) => void): this;
  once(event: ServiceEventName, listener: (event: ServiceEvent) => void): this;
  off(event: ServiceEventName, listener: (event: ServiceEvent) => void): this;
  emit(event: string, ...values: unknown[]): boolean;
}

/** Events of a registry: its own, and those of its services. */
export type RegistryEventName = "registered" | "unregistered" | `service:${ServiceEventName}`;

/** Services by their names. */
export class ServiceRegistry {
  /** Makes a service, at the top level. A name is that of one service of the component. */
  register(name: string, handler: ServiceHandler): ServiceWorker;
  /** Stops a service and empties its context; this instance's registry does not have it any more. */
  unregister(name: string): Promise<true>;
  get(name: string): ServiceWorker | undefined;
  start(name: string): Promise<true>;
  /** Starts those that do not run. At the top level: has the first message to each start it. */
  startAll(): Promise<boolean[]>;
  stop(name: string): Promise<true>;
  /** Stops those that run. */
  stopAll(): Promise<true[]>;
  restart(name: string): Promise<true>;
  send(name: string, message?: unknown): SentMessage;
  list(): string[];
  /** What this instance knows. Awaited, it is what the service says. */
  getState(name: string): ServiceState & PromiseLike<ServiceState>;
  /** The states by name, as of `getState`. */
  status(): Record<string, ServiceState> & PromiseLike<Record<string, ServiceState>>;
  on(event: RegistryEventName, listener: (event: ServiceEvent) => void): this;
  once(event: RegistryEventName, listener: (event: ServiceEvent) => void): this;
  off(event: RegistryEventName, listener: (event: ServiceEvent) => void): this;
  emit(event: string, ...values: unknown[]): boolean;
}

/** A registry for all of the component. */
export const registry: ServiceRegistry;
