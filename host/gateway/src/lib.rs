//! What stands between an HTTP request and the component it is for.
