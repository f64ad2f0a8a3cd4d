// The texts of the console: messages/LOCALE.json, of which a browser fetches one. `m.KEY(values)` is a text in the
// language of the page; forms for numbers are those of Intl.PluralRules. test/texts.test.ts holds the three languages
// and the uses against each other.

// A compiler of texts into functions (paraglide) was tried: it makes all languages part of each page, and brings a
// native library into the build.

import type en from "../../messages/en.json";

export const LOCALES = ["en", "ru", "uz"] as const;
export type Locale = (typeof LOCALES)[number];

/** A text, or its forms by the plural category of the value that `by` names. */
export type Text = string | ({ by: string } & Partial<Record<Intl.LDMLPluralRule, string>>);
type Key = keyof typeof en;
type Values = Record<string, string | number>;

const STORED = "elias-locale";
const loaders: Record<Locale, () => Promise<{ default: Record<string, Text> }>> = {
  en: () => import("../../messages/en.json"),
  ru: () => import("../../messages/ru.json"),
  uz: () => import("../../messages/uz.json"),
};

let locale: Locale = "en";
let texts: Record<string, Text> = {};
let plurals = new Intl.PluralRules("en");

const isLocale = (name: string | null | undefined): name is Locale => LOCALES.some((one) => one === name);

/** The language that was chosen in this browser, else the first of the browser's that there is. */
export function preferredLocale(): Locale {
  const chosen = globalThis.localStorage?.getItem(STORED);
  if (isLocale(chosen)) return chosen;
  return (globalThis.navigator?.languages ?? []).map((name) => name.split("-")[0]).find(isLocale) ?? "en";
}

/** The language of the page, for Intl. */
export const getLocale = (): Locale => locale;

/** Fetches the texts of a language, which are the page's from then on. */
export async function useLocale(wanted: Locale): Promise<void> {
  const loaded = await loaders[wanted]();
  locale = wanted;
  texts = loaded.default;
  plurals = new Intl.PluralRules(wanted);
}

export function storeLocale(chosen: Locale): void {
  localStorage.setItem(STORED, chosen);
}

function format(key: string, values: Values): string {
  const text = texts[key];
  const form = typeof text === "object" ? (text[plurals.select(Number(values[text.by]))] ?? text.other) : text;
  // Values are put in once: what they contain is nobody's placeholder.
  return form?.replace(/\{(\w+)\}/g, (found, name: string) => String(values[name] ?? found)) ?? key;
}

const made = new Map<string, (values?: Values) => string>();

/** The texts by their keys. */
export const m = new Proxy({} as Record<Key, (values?: Values) => string>, {
  get(_, key: string) {
    let text = made.get(key);
    if (text === undefined) {
      text = (values = {}) => format(key, values);
      made.set(key, text);
    }
    return text;
  },
});
