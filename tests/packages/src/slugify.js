import slugify from "slugify";
import validator from "validator";

export default {
  async fetch(request) {
    return Response.json([slugify("Süße Träume & mehr!", { lower: true, strict: true }), validator.isEmail("a@example.org"), validator.isURL("x y"), validator.escape("<a>"), validator.isCreditCard("4111111111111111")]);
  },
};
