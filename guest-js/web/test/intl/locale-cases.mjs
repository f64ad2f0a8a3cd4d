// Cases of Intl in other locales than English, for the comparison with Node.
import {
  AMOUNTS, CODES, DATE_OPTIONS, FEW_INSTANTS, FEW_NUMBERS, LISTS, NUMBER_OPTIONS, RANGE_OPTIONS, UNITS, ZONE_OPTIONS, json, parts, show, sorted,
} from "./cases.mjs";

/** The locales that are compared: they cover the scripts, plural rules and orders that differ most. */
export const LOCALES = ["de", "fr", "pl", "ru", "ar", "ja", "zh-Hant", "hi", "pt-PT", "en-GB", "sv", "tr", "es", "de-AT", "fa", "he", "cs", "ko"];

const AMOUNTS_MORE = [5, 12, 21, 1000, 1500, 12345, 123456, 2e6, 1e9, NaN, -Infinity];
const ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Tokyo", "America/Sao_Paulo", "Europe/Kyiv", "America/Phoenix"];
const RANGES = [[0, 0], [0, 3600e3], [0, 13 * 3600e3], [0, 86400e3], [0, 40 * 86400e3], [0, 400 * 86400e3]];

const WORDS = {
  de: "Apfel Äpfel apfel Zebra Ärger ähnlich Straße Strasse",
  fr: "cote côte coté côté été ete Œuvre oeuvre zèbre",
  pl: "ą a b ć c ę e ł l m ń n ó o ś s ź ż z Łódź Lublin Łomża Żywiec Zamość",
  ru: "ёлка ель я Аня Борис z a Ж ж 1",
  ar: "ب ا ت z a 1",
  hi: "क ख ग a z 1",
  "pt-PT": "ação acao ç c d água agua",
  "en-GB": "colour color Zebra apple",
  sv: "ö ä å z a o Örebro Ånge Ärla zebra v w",
  tr: "ı i I İ ç c ğ g ö o ş s ü u z ılık ilik",
  es: "ñ n o nz Ñandú nube ch c d ll l m",
  cs: "ch c h i hory chata č d cz hz chléb",
  he: "ב א ג a z 1",
  fa: "پ ب ا ک گ a z",
  "de-AT": "Apfel Äpfel Zebra",
  ja: "あ ア い a z 1 カ か が",
  ko: "가 나 다 a z 1",
  "zh-Hant": "a z 1",
};

export function* cases(locales = LOCALES) {
  for (const locale of locales) yield* casesOf(locale);
}

function* casesOf(locale) {
  const name = (text) => `${locale}: ${text}`;
  for (const api of ["NumberFormat", "DateTimeFormat", "PluralRules", "Collator", "ListFormat", "RelativeTimeFormat", "Segmenter"]) {
    yield [name(`supported ${api}`), () => json(Intl[api].supportedLocalesOf([locale, "zz"]))];
    yield [name(`locale ${api}`), () => new Intl[api](locale).resolvedOptions().locale];
  }
  for (const options of NUMBER_OPTIONS) {
    let made;
    const get = () => (made ??= new Intl.NumberFormat(locale, options));
    yield [name(`number ${json(options)} resolved`), () => sorted(get().resolvedOptions())];
    for (const number of [...FEW_NUMBERS, ...AMOUNTS_MORE]) yield [name(`number ${json(options)} ${show(number)}`), () => get().format(number)];
    for (const number of [-1234.5, 2e6]) yield [name(`number ${json(options)} parts ${show(number)}`), () => parts(get().formatToParts(number))];
    for (const [from, to] of [[1, 2], [3, 5e6], [-5, 5]]) yield [name(`number ${json(options)} range ${from} ${to}`), () => get().formatRange(from, to)];
    yield [name(`number ${json(options)} range 3 3`), () => get().formatRange(3, 3)];
  }
  for (const options of DATE_OPTIONS) {
    let made;
    const get = () => (made ??= new Intl.DateTimeFormat(locale, { timeZone: "UTC", calendar: "gregory", ...options }));
    yield [name(`date ${json(options)} resolved`), () => sorted(get().resolvedOptions())];
    for (const instant of FEW_INSTANTS) yield [name(`date ${json(options)} ${instant}`), () => get().format(instant)];
    yield [name(`date ${json(options)} parts`), () => parts(get().formatToParts(FEW_INSTANTS[1]))];
  }
  for (const options of ZONE_OPTIONS) {
    for (const timeZone of ZONES) {
      for (const instant of [FEW_INSTANTS[1], FEW_INSTANTS[2]]) yield [name(`zone ${timeZone} ${json(options)} ${instant}`), () => new Intl.DateTimeFormat(locale, { timeZone, calendar: "gregory", ...options }).format(instant)];
    }
  }
  for (const options of RANGE_OPTIONS) {
    for (const [from, to] of RANGES) yield [name(`date range ${json(options)} ${from} ${to}`), () => new Intl.DateTimeFormat(locale, { timeZone: "UTC", calendar: "gregory", ...options }).formatRange(from, to)];
  }
  for (const type of ["cardinal", "ordinal"]) {
    let made;
    const get = () => (made ??= new Intl.PluralRules(locale, { type }));
    yield [name(`plural ${type} categories`), () => json(get().resolvedOptions().pluralCategories)];
    for (let number = 0; number <= 130; number++) yield [name(`plural ${type} ${number}`), () => get().select(number)];
    for (const number of [0.5, 1.5, 2.1, 1e6, 2e6, 1e15, 1234567]) yield [name(`plural ${type} ${number}`), () => get().select(number)];
    for (const [from, to] of [[0, 1], [1, 2], [2, 5], [1, 21]]) yield [name(`plural ${type} range ${from} ${to}`), () => get().selectRange(from, to)];
  }
  for (const numeric of ["always", "auto"]) {
    for (const style of ["long", "short", "narrow"]) {
      for (const unit of UNITS) {
        for (const amount of [...AMOUNTS, 5, 21]) yield [name(`relative ${numeric} ${style} ${unit} ${show(amount)}`), () => new Intl.RelativeTimeFormat(locale, { numeric, style }).format(amount, unit)];
      }
    }
  }
  for (const type of ["conjunction", "disjunction", "unit"]) {
    for (const style of ["long", "short", "narrow"]) {
      for (const list of [...LISTS, ["a", "i", "o"], ["a", "ocho"]]) yield [name(`list ${type} ${style} ${json(list)}`), () => new Intl.ListFormat(locale, { type, style }).format(list)];
    }
  }
  for (const [type, codes] of Object.entries(CODES)) {
    for (const style of ["long", "short", "narrow"]) {
      for (const code of codes) yield [name(`display ${type} ${style} ${code}`), () => String(new Intl.DisplayNames(locale, { type, style }).of(code))];
    }
  }
  const words = (WORDS[locale] ?? "").split(" ");
  yield [name("collator sort"), () => json([...words].sort(new Intl.Collator(locale).compare))];
  yield [name("collator base"), () => json(words.map((a) => words.map((b) => new Intl.Collator(locale, { sensitivity: "base" }).compare(a, b))))];
  yield [name("localeCompare"), () => json([...words].sort((a, b) => a.localeCompare(b, locale)))];
  yield [name("toLocaleString"), () => [(1234567.891).toLocaleString(locale), new Date(1700000000123).toLocaleString(locale, { calendar: "gregory" }), new Date(0).toLocaleDateString(locale, { calendar: "gregory" }), new Date(0).toLocaleTimeString(locale), 5n.toLocaleString(locale)].join(" | ")];
  yield [name("case"), () => "iıIİ straße".toLocaleUpperCase(locale) + "iıIİ".toLocaleLowerCase(locale)];
}
