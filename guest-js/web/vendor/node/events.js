export { default } from "events/events.js";
