// The legacy API of node:url, by the package unenv.
export { default } from "../node_modules/unenv/dist/runtime/node/url.mjs";
