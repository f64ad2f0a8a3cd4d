// URLPattern, by its reference polyfill. Its module is evaluated where the URL API is.
export { URLPattern } from "urlpattern-polyfill/urlpattern";
