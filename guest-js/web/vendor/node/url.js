export { default } from "../node_modules/unenv/dist/runtime/node/url.mjs";
