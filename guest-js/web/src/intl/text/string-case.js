// toLocaleUpperCase and toLocaleLowerCase (ECMA-402 §19.1), which differ from the plain ones for some languages.
import { canonicalizeLocaleList, defineMethods } from "../support.js";

function languageOf(locales) {
  const [first = "en"] = canonicalizeLocaleList(locales);
  return first.split("-")[0];
}

const isTurkic = (language) => language === "tr" || language === "az";

/** An accent above that keeps the dot of a Lithuanian i. */
const ABOVE = /[\u0300\u0301\u0303]/;

const LOWER = {
  lt(text) {
    const dotted = text.normalize("NFD").replace(/([IJ]|\u012e)(?=[^\p{L}]*[\u0300\u0301\u0303])/gu, (letter) => `${letter.toLowerCase()}\u0307`);
    return ABOVE.test(dotted) ? dotted.toLowerCase().normalize("NFC") : text.toLowerCase();
  },
};

defineMethods(String.prototype, {
  toLocaleUpperCase(locales = undefined) {
    const text = String.prototype.toString.call(Object(requireText(this)));
    const language = languageOf(locales);
    if (isTurkic(language)) return text.replaceAll("i", "\u0130").toUpperCase();
    if (language === "lt") return text.replace(/([ijI\u012f])\u0307/gi, "$1").toUpperCase();
    if (language === "el") return text.normalize("NFD").replace(/(\p{Script=Greek}\p{M}*)/gu, (letter) => letter.replace(/[\u0300\u0301\u0342\u0313\u0314]/g, "")).toUpperCase().normalize("NFC");
    return text.toUpperCase();
  },
  toLocaleLowerCase(locales = undefined) {
    const text = String.prototype.toString.call(Object(requireText(this)));
    const language = languageOf(locales);
    if (isTurkic(language)) return text.replace(/I\u0307/g, "i").replaceAll("I", "\u0131").replaceAll("\u0130", "i").toLowerCase();
    return (LOWER[language] ?? ((plain) => plain.toLowerCase()))(text);
  },
});

function requireText(value) {
  if (value === undefined || value === null) throw new TypeError("String.prototype method called on null or undefined");
  return `${value}`;
}
