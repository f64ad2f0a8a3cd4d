import i18next from "i18next";

const resources = { en: { translation: { hello: "Hello {{name}}", item_one: "one item", item_other: "{{count}} items" } } };

export default {
  async fetch(request) {
    const t = await i18next.createInstance().init({ lng: "en", showSupportNotice: false, resources });
    return Response.json([t("hello", { name: "Ada" }), t("item", { count: 1 }), t("item", { count: 3 })]);
  },
};
