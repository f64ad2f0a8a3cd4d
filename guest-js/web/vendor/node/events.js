// The EventEmitter of node:events, by the package events.
export { default } from "events/events.js";
