// node:punycode, by the package punycode.
export { default } from "punycode/punycode.es6.js";
