export { default } from "readable-stream/lib/ours/browser.js";
