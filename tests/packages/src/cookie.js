import * as cookie from "cookie";

export default {
  async fetch(request) {
    return Response.json({ parsed: cookie.parseCookie("a=1; b=x%20y"), text: cookie.stringifySetCookie({ name: "a", value: "x y", httpOnly: true, maxAge: 60, sameSite: "lax" }) });
  },
};
