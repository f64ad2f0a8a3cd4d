// node:path for POSIX systems, by the package path-browserify.
export { default } from "path-browserify";
