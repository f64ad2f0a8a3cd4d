// node:querystring, by the package unenv.
export { default } from "../node_modules/unenv/dist/runtime/node/querystring.mjs";
