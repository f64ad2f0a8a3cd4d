import sanitize from "sanitize-html";

export default {
  async fetch(request) {
    return Response.json([sanitize('<p onclick="x()">a <b>b</b><script>alert(1)</script><a href="javascript:x" title="t">l</a></p>'), sanitize("<i>x</i><u>y</u>", { allowedTags: ["u"] })]);
  },
};
