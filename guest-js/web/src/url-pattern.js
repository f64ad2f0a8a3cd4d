// URLPattern. https://urlpattern.spec.whatwg.org/#urlpattern-class
import "./url.js";
import { URLPattern } from "./vendor/url-pattern.js";
import { defineInterface } from "./webidl.js";

Object.defineProperty(URLPattern, "name", { value: "URLPattern", configurable: true });
defineInterface(URLPattern);
