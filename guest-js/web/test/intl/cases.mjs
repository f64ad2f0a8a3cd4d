// Cases of Intl for the comparison with Node: each is a label and a function that gives text. The same file runs in
// Node and in a component.

export const NUMBERS = [0, -0, 1, -1, 2, 5, 9.5, 0.5, 1.5, 2.5, -2.5, 0.1, 0.05, 1.005, 1.045, 12, 99.995, 123, 999, 999.9, 1000, 1234.5, -1234.567, 9999, 12345,
  99999.5, 123456.789, 999999, 999950, 1e6, 1.5e6, 12345678, 1e9, 1.25e10, 1e12, 1e15, 9007199254740993, 1e21, 1.7976931348623157e308, 5e-324, 1e-7, 0.000123456,
  NaN, Infinity, -Infinity, 12345678901234567890n, -5n, "123456789.987654321", "1e3", "-0.00"];
export const FEW_NUMBERS = [0, 1, -1.5, 2, 0.126, 999.5, 1234.5678, 1234567.891, -0];

export const NUMBER_OPTIONS = [
  {},
  ...["percent", "decimal"].map((style) => ({ style })),
  ...["USD", "EUR", "JPY", "GBP", "INR", "BHD", "CHF", "XXX", "ZZZ", "CLF", "KRW"].map((currency) => ({ style: "currency", currency })),
  ...["code", "name", "narrowSymbol", "symbol"].flatMap((currencyDisplay) =>
    ["USD", "EUR", "JPY", "CAD", "AUD", "SEK", "ABC"].map((currency) => ({ style: "currency", currency, currencyDisplay }))),
  { style: "currency", currency: "USD", currencySign: "accounting" },
  { style: "currency", currency: "USD", currencySign: "accounting", signDisplay: "always" },
  { style: "currency", currency: "USD", currencySign: "accounting", signDisplay: "exceptZero", currencyDisplay: "name" },
  { style: "currency", currency: "CHF", currencySign: "accounting", currencyDisplay: "code" },
  { style: "currency", currency: "USD", notation: "compact" },
  { style: "currency", currency: "EUR", notation: "compact", compactDisplay: "long" },
  { style: "currency", currency: "USD", notation: "scientific" },
  { style: "currency", currency: "USD", maximumFractionDigits: 0 },
  { style: "currency", currency: "USD", minimumFractionDigits: 0 },
  { style: "currency", currency: "USD", trailingZeroDisplay: "stripIfInteger" },
  ...["short", "long", "narrow"].flatMap((unitDisplay) =>
    ["kilometer-per-hour", "liter", "byte", "megabyte", "celsius", "percent", "mile", "day", "second", "millisecond", "foot", "inch", "meter-per-second", "gram", "kilogram-per-meter",
      "degree", "liter-per-kilometer", "mile-per-gallon", "year", "month", "week", "hour", "minute", "fahrenheit", "gigabit-per-second", "acre", "stone", "fluid-ounce"].map((unit) => ({ style: "unit", unit, unitDisplay }))),
  { style: "unit", unit: "byte", notation: "compact", unitDisplay: "narrow" },
  { style: "unit", unit: "meter", notation: "compact", compactDisplay: "long", unitDisplay: "long" },
  ...["auto", "always", "never", "exceptZero", "negative"].flatMap((signDisplay) => [{ signDisplay }, { signDisplay, style: "percent" }, { signDisplay, style: "currency", currency: "EUR" }, { signDisplay, notation: "compact" }]),
  ...["scientific", "engineering", "compact"].map((notation) => ({ notation })),
  { notation: "compact", compactDisplay: "long" },
  { notation: "compact", maximumFractionDigits: 1 },
  { notation: "compact", minimumFractionDigits: 2 },
  { notation: "compact", maximumSignificantDigits: 3 },
  { notation: "compact", useGrouping: true },
  { notation: "compact", roundingMode: "trunc" },
  { notation: "compact", style: "percent" },
  { notation: "scientific", maximumFractionDigits: 2 },
  { notation: "scientific", minimumSignificantDigits: 4 },
  { notation: "engineering", maximumSignificantDigits: 2 },
  ...[false, true, "always", "min2", "auto", "false", "true"].map((useGrouping) => ({ useGrouping })),
  { minimumIntegerDigits: 5 },
  { minimumIntegerDigits: 2, useGrouping: false },
  { minimumFractionDigits: 2 },
  { maximumFractionDigits: 0 },
  { maximumFractionDigits: 2 },
  { minimumFractionDigits: 1, maximumFractionDigits: 20 },
  { maximumSignificantDigits: 3 },
  { minimumSignificantDigits: 3, maximumSignificantDigits: 5 },
  { maximumSignificantDigits: 21 },
  { maximumFractionDigits: 2, maximumSignificantDigits: 3, roundingPriority: "morePrecision" },
  { maximumFractionDigits: 2, maximumSignificantDigits: 3, roundingPriority: "lessPrecision" },
  { maximumFractionDigits: 1, maximumSignificantDigits: 3, roundingPriority: "auto" },
  ...["ceil", "floor", "expand", "trunc", "halfCeil", "halfFloor", "halfExpand", "halfTrunc", "halfEven"].flatMap((roundingMode) => [{ roundingMode, maximumFractionDigits: 0 }, { roundingMode, maximumFractionDigits: 2 }, { roundingMode, maximumSignificantDigits: 2 }]),
  ...[5, 10, 25, 50, 100, 250, 2000].map((roundingIncrement) => ({ roundingIncrement, minimumFractionDigits: 2, maximumFractionDigits: 2 })),
  { roundingIncrement: 5, maximumFractionDigits: 1, minimumFractionDigits: 1, roundingMode: "floor" },
  { trailingZeroDisplay: "stripIfInteger", minimumFractionDigits: 2 },
  { style: "percent", maximumFractionDigits: 2 },
  { style: "percent", minimumFractionDigits: 1, signDisplay: "exceptZero" },
  { numberingSystem: "arab" }, { numberingSystem: "deva", minimumFractionDigits: 2 }, { numberingSystem: "fullwide" }, { numberingSystem: "hanidec" }, { numberingSystem: "roman" },
  { minimumFractionDigits: 13, maximumFractionDigits: 20 },
];

export const INSTANTS = [0, -1, 1e12, 1700000000123, 951782400000, 951868799999, Date.UTC(2024, 1, 29, 12), Date.UTC(2024, 5, 5, 0, 0, 9), Date.UTC(2023, 11, 31, 23, 59, 59, 999), Date.UTC(1999, 0, 3, 5, 7, 8, 45),
  Date.UTC(2024, 6, 4, 17, 30), Date.UTC(2024, 10, 3, 6, 30), Date.UTC(2024, 2, 10, 10), -2e12, -62e12, 8.64e15, -8.64e15, Date.UTC(2050, 8, 9, 21, 1), Date.UTC(2008, 4, 5, 6, 7, 8)];
export const FEW_INSTANTS = [0, 1700000000123, Date.UTC(2024, 6, 4, 17, 3), Date.UTC(2023, 0, 9, 0, 5, 6), -3e12];

export const ZONES = ["UTC", "America/New_York", "America/Los_Angeles", "Europe/Berlin", "Europe/London", "Asia/Tokyo", "Asia/Kolkata", "Australia/Sydney", "America/Sao_Paulo", "Africa/Cairo", "Asia/Kathmandu", "Pacific/Apia",
  "America/St_Johns", "Asia/Calcutta", "Etc/GMT+5", "GMT", "Etc/UTC", "EST", "EST5EDT", "US/Pacific", "Asia/Shanghai", "Antarctica/Troll", "Africa/Casablanca", "Europe/Dublin", "Australia/Lord_Howe", "america/new_york",
  "+05:30", "-0800", "+00", "Pacific/Chatham", "Asia/Tehran", "Pacific/Kiritimati", "Africa/Lagos", "America/Phoenix", "Pacific/Honolulu", "America/Anchorage", "America/Halifax", "Europe/Moscow", "Asia/Dubai", "Asia/Singapore", "America/Argentina/Buenos_Aires", "Africa/Monrovia", "Europe/Amsterdam"];

const STYLES = ["full", "long", "medium", "short"];
export const DATE_OPTIONS = [
  {},
  ...STYLES.map((dateStyle) => ({ dateStyle })),
  ...STYLES.map((timeStyle) => ({ timeStyle })),
  ...STYLES.flatMap((dateStyle) => STYLES.map((timeStyle) => ({ dateStyle, timeStyle }))),
  { timeStyle: "short", hour12: false }, { timeStyle: "medium", hourCycle: "h23" }, { dateStyle: "short", timeStyle: "short", hourCycle: "h24" }, { timeStyle: "short", hourCycle: "h11" },
  ...["numeric", "2-digit"].flatMap((year) => [{ year }, { year, month: "numeric" }, { year, month: "long" }, { year, month: "short", day: "numeric" }, { year, month: "2-digit", day: "2-digit" }]),
  ...["numeric", "2-digit", "long", "short", "narrow"].flatMap((month) => [{ month }, { month, day: "numeric" }, { month, day: "2-digit", year: "numeric" }, { month, year: "numeric" }, { month, weekday: "short", day: "numeric" },
    { month, weekday: "long", day: "numeric", year: "numeric" }, { month, year: "numeric", era: "short" }, { month, day: "numeric", hour: "numeric" }, { month, day: "numeric", year: "numeric", hour: "2-digit", minute: "2-digit" }]),
  ...["numeric", "2-digit"].map((day) => ({ day })),
  ...["long", "short", "narrow"].flatMap((weekday) => [{ weekday }, { weekday, year: "numeric" }, { weekday, day: "numeric" }, { weekday, hour: "numeric" }, { weekday, hour: "numeric", minute: "numeric" }, { weekday, month: "long", day: "numeric", year: "numeric" }]),
  ...["long", "short", "narrow"].flatMap((era) => [{ era }, { era, year: "numeric" }, { era, year: "numeric", month: "short", day: "numeric" }, { era, year: "numeric", month: "numeric", day: "numeric", weekday: "short" }]),
  ...["numeric", "2-digit"].flatMap((hour) => [{ hour }, { hour, hour12: false }, { hour, minute: "numeric" }, { hour, minute: "2-digit", hour12: false }, { hour, minute: "2-digit", second: "2-digit" }, { hour, minute: "numeric", second: "numeric", hourCycle: "h23" },
    { hour, minute: "numeric", second: "numeric", fractionalSecondDigits: 3 }]),
  ...["h11", "h12", "h23", "h24"].flatMap((hourCycle) => [{ hour: "numeric", hourCycle }, { hour: "2-digit", minute: "2-digit", hourCycle }, { hourCycle }, { year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric", hourCycle }]),
  { minute: "numeric" }, { minute: "2-digit" }, { second: "numeric" }, { second: "2-digit" }, { minute: "numeric", second: "numeric" }, { minute: "2-digit", second: "2-digit" },
  ...[1, 2, 3].flatMap((fractionalSecondDigits) => [{ fractionalSecondDigits }, { second: "numeric", fractionalSecondDigits }, { minute: "numeric", second: "numeric", fractionalSecondDigits }]),
  ...["short", "long", "narrow"].flatMap((dayPeriod) => [{ dayPeriod }, { hour: "numeric", dayPeriod }, { hour: "numeric", minute: "numeric", dayPeriod }, { hour: "numeric", dayPeriod, hour12: false }]),
  ...["short", "long", "shortOffset", "longOffset", "shortGeneric", "longGeneric"].flatMap((timeZoneName) => [{ timeZoneName }, { hour: "numeric", timeZoneName }, { hour: "numeric", minute: "numeric", second: "numeric", timeZoneName },
    { year: "numeric", month: "short", day: "numeric", timeZoneName }, { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false, timeZoneName }]),
  { hour12: true }, { hour12: false },
  { numberingSystem: "arab", dateStyle: "short" },
  { calendar: "iso8601", dateStyle: "short" }, { calendar: "gregory" },
  { hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" },
  { weekday: "short", era: "short", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric", fractionalSecondDigits: 2, timeZoneName: "short" },
];
export const ZONE_OPTIONS = [{ dateStyle: "short", timeStyle: "long" }, { timeStyle: "full" }, { timeZoneName: "shortOffset" }, { timeZoneName: "longOffset", hour: "numeric" }, { timeZoneName: "shortGeneric" }, { timeZoneName: "longGeneric" }, { year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric", hourCycle: "h23" }];
export const RANGES = [[0, 0], [0, 1], [0, 3600e3], [0, 11.9 * 3600e3], [0, 13 * 3600e3], [0, 86400e3], [0, 40 * 86400e3], [0, 400 * 86400e3], [1700000000000, 1700000060000], [-1e14, 1e12], [1704067199000, 1704067201000], [1700000000000, 1700000000400]];
export const RANGE_OPTIONS = [{}, { dateStyle: "long" }, { dateStyle: "medium" }, { dateStyle: "short" }, { dateStyle: "full" }, { timeStyle: "short" }, { timeStyle: "medium" }, { dateStyle: "short", timeStyle: "short" }, { dateStyle: "long", timeStyle: "short" }, { year: "numeric", month: "short", day: "numeric" }, { month: "long", day: "numeric" },
  { month: "short", day: "numeric", weekday: "short" }, { year: "numeric", month: "long" }, { year: "numeric" }, { hour: "numeric", minute: "numeric" }, { hour: "numeric" }, { hour: "numeric", hour12: false }, { hour: "numeric", minute: "numeric", hour12: false }, { month: "numeric", day: "numeric", hour: "numeric", minute: "numeric" }, { hour: "numeric", minute: "numeric", timeZoneName: "short" },
  { day: "numeric" }, { month: "long" }, { year: "numeric", month: "numeric" }, { minute: "numeric", second: "numeric" }, { hour: "numeric", minute: "numeric", second: "numeric" }, { weekday: "long" }, { era: "short", year: "numeric" }];

const STRINGS = ["", "a", "A", "á", "Á", "b", "B", "z", "Z", "ä", "ae", "æ", "o", "ö", "oe", "ø", "ss", "ß", "résumé", "resume", "Resume", "Résumé", "co-op", "coop", "CO-OP", "co op", "1", "2", "10", "02", "a1", "a2", "a10", "a02", "item 9", "item 10",
  "_", "-", " ", "a b", "ab", "a-b", "#", "$", "€", "!", ".", ",", "(", "'", "@", "日本", "中", "あ", "ア", "ㄱ", "한", "α", "Ω", "ω", "я", "Я", "ё", "е", "🙂", "🎉", "ñ", "n", "nz", "ﬁ", "fi", "½", "①", "Å", "Å", "i", "I", "ı", "İ", "\u0000", "\u00ad", "a\u00adb", "e\u0301", "é", "ا", "ב", "ก", "z a", "za", "z-a", "Z A",
  "\t", "\n", "~", "^", "`", "|", "+", "<", "=", ">", "?", "/", "\\", "[", "]", "{", "}", "%", "&", "*", ":", ";", '"', "aB", "Ab", "AB", "ab ", "©", "®", "™", "°", "µ", "×", "÷", "§", "¶", "–", "—", "…", "“", "’", "•", "ł", "đ", "ž", "ç", "ð", "þ", "ÿ", "œ", "ĳ"];
export const COLLATORS = [{}, { sensitivity: "base" }, { sensitivity: "accent" }, { sensitivity: "case" }, { sensitivity: "variant" }, { numeric: true }, { numeric: true, sensitivity: "base" }, { caseFirst: "upper" }, { caseFirst: "lower" }, { caseFirst: "upper", sensitivity: "case" }, { ignorePunctuation: true }, { usage: "search" }];

const TEXTS = ["", "Hello, world!", "e\u0301a\u0308", "👨‍👩‍👧‍👦👍🏽🇩🇪🇫🇷🇯", "a\r\nb\nc", "각가", "नमस्ते क्षत्रिय", "It's 3.14 o'clock. Isn't it? Yes! \"No.\" Said Dr. Smith; e.g. this one. the end", "foo_bar 1,234.5 a.b.c x@y.z http://a.b/c", "日本語のテキスト。カタカナ、ひらがな", "שלום עולם", "Привет, мир! Как дела?", "ไทย", "a  b\t c\u00a0d", "One.Two. Three?  Four!\nFive\u2029Six (seven.) Eight", "½ 5€ $5 #tag can’t", "☝🏿 🏳️‍🌈 1️⃣ ©️"];

export const LISTS = [[], ["a"], ["a", "b"], ["a", "b", "c"], ["1", "2", "3", "4", "5"], ["", "x", "and"]];
export const UNITS = ["second", "minute", "hour", "day", "week", "month", "quarter", "year"];
export const AMOUNTS = [0, -0, 1, -1, 2, -2, 10, -10, 0.5, -1.5, 1234.567, 100, -3];
const TAGS = ["en", "EN-us", "en-GB-oxendict", "de-Latn-DE-1996", "zh-cmn", "cmn", "iw", "sr-latn-rs", "en-US-u-hc-h12-ca-gregory", "en-u-nu-latn-co-phonebk", "i-klingon", "sgn-GR", "und", "x-private", "en-x-a-b", "root", "en_US", "e", "abcdefghi", "en-a", "en-u", "de-DE-DE", "en-US-US", "hy-arevela", "ja-latn-hepburn-heploc", "en-u-kf", "en-u-kn-true", "en-u-ca-islamicc", "en-t-es-m0-true", "mo", "sh", "zh-min-nan", "art-lojban", "no-bok", "en-US-posix", "de-u-kn-false-co-phonebk-attr", "sl-rozaj-biske-1994", "en-BU", "ru-SU", "hy-SU", "und-Arab-SU", "aa-saaho", "", " ", "en-", "-en", "en--US", "zh-Hant-TW", "pt-BR"];
export const CODES = {
  region: ["US", "DE", "GB", "JP", "UN", "419", "001", "ZZ", "us", "QQ", "XK", "EU", "x"],
  language: ["en", "en-US", "en-GB", "de", "de-AT", "fr-CA", "zh-Hans", "zh-Hant-TW", "pt-BR", "es-419", "sr-Latn", "sr-Cyrl-RS", "ja", "tlh", "xx", "de-1996", "en-Latn-US", "root", "nl-BE", "ar-001", "en-u-nu-arab", "haw", "fil"],
  currency: ["USD", "eur", "JPY", "XXX", "ABC", "CHF", "DEM", "US"],
  script: ["Latn", "Cyrl", "Hans", "hant", "Zzzz", "Qaaa", "Arab", "xx"],
  calendar: ["gregory", "islamic-civil", "buddhist", "iso8601", "roc", "nope", "x"],
  dateTimeField: ["era", "year", "quarter", "month", "weekOfYear", "weekday", "day", "dayPeriod", "hour", "minute", "second", "timeZoneName", "x"],
};

export const show = (value) => (Object.is(value, -0) ? "-0" : typeof value === "bigint" ? `${value}n` : typeof value === "string" ? JSON.stringify(value) : String(value));
export const parts = (list) => list.map((part) => `${part.type}${part.unit === undefined ? "" : `/${part.unit}`}${part.source === undefined ? "" : `@${part.source}`}=${part.value}`).join("|");
// The standard's order of resolved options has changed over the years.
export const sorted = (value) => JSON.stringify(Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))));
export const json = (value) => JSON.stringify(value);

/** Every case: `[label, () => text]`. An exception's name counts as its text. */
export function* cases() {
  for (const options of NUMBER_OPTIONS) {
    let format;
    const get = () => (format ??= new Intl.NumberFormat("en-US", options));
    yield [`number ${json(options)} resolved`, () => sorted(get().resolvedOptions())];
    for (const number of NUMBERS) yield [`number ${json(options)} ${show(number)}`, () => get().format(number)];
    for (const number of FEW_NUMBERS) yield [`number ${json(options)} parts ${show(number)}`, () => parts(get().formatToParts(number))];
  }
  for (const options of [{}, { style: "currency", currency: "USD" }, { style: "currency", currency: "EUR", maximumFractionDigits: 0 }, { style: "percent" }, { style: "unit", unit: "meter" }, { notation: "compact" }, { maximumFractionDigits: 0 }, { signDisplay: "always" }, { style: "unit", unit: "day", unitDisplay: "long" }, { style: "currency", currency: "USD", currencyDisplay: "name" }]) {
    for (const [from, to] of [[1, 2], [1, 1], [-3, 5], [0.1, 0.14], [999, 1001], [2.9, 3.1], [-5, -2], [1000, 2e6], [0, Infinity], ["1", "10"], [5, 1], [NaN, 1]]) {
      yield [`number ${json(options)} range ${from} ${to}`, () => new Intl.NumberFormat("en-US", options).formatRange(from, to)];
      yield [`number ${json(options)} range parts ${from} ${to}`, () => parts(new Intl.NumberFormat("en-US", options).formatRangeToParts(from, to))];
    }
  }
  for (const options of [{ style: "currency" }, { style: "currency", currency: "US" }, { style: "unit" }, { style: "unit", unit: "parsec" }, { style: "unit", unit: "meter-per-meter-per-meter" }, { style: "x" }, { notation: "x" }, { minimumFractionDigits: 3, maximumFractionDigits: 1 }, { maximumFractionDigits: 101 }, { minimumIntegerDigits: 0 }, { minimumIntegerDigits: 22 }, { maximumSignificantDigits: 22 }, { minimumSignificantDigits: 5, maximumSignificantDigits: 2 }, { roundingIncrement: 3 }, { roundingIncrement: 5 }, { roundingMode: "up" }, { useGrouping: "x" }, { numberingSystem: "!" }, { numberingSystem: "zzzz" }, { signDisplay: null }, { maximumFractionDigits: NaN }, { maximumFractionDigits: "2" }, { localeMatcher: "x" }]) {
    yield [`number refused ${json(options)}`, () => new Intl.NumberFormat("en-US", options).format(1234.5678)];
  }
  for (const value of [0, 1234.5, -1e21, NaN, 123456789n]) {
    yield [`toLocaleString ${show(value)}`, () => value.toLocaleString()];
    yield [`toLocaleString en ${show(value)}`, () => value.toLocaleString("en", { minimumFractionDigits: 1 })];
  }

  for (const options of DATE_OPTIONS) {
    let format;
    const get = () => (format ??= new Intl.DateTimeFormat("en-US", options));
    yield [`date ${json(options)} resolved`, () => sorted(get().resolvedOptions())];
    for (const instant of INSTANTS) yield [`date ${json(options)} ${instant}`, () => get().format(instant)];
    for (const instant of FEW_INSTANTS) yield [`date ${json(options)} parts ${instant}`, () => parts(get().formatToParts(instant))];
  }
  for (const timeZone of ZONES) {
    for (const options of ZONE_OPTIONS) {
      let format;
      const get = () => (format ??= new Intl.DateTimeFormat("en-US", { ...options, timeZone }));
      yield [`zone ${timeZone} ${json(options)} resolved`, () => get().resolvedOptions().timeZone];
      for (const instant of INSTANTS) yield [`zone ${timeZone} ${json(options)} ${instant}`, () => get().format(instant)];
    }
  }
  for (const options of RANGE_OPTIONS) {
    for (const [from, to] of RANGES) {
      yield [`date range ${json(options)} ${from} ${to}`, () => new Intl.DateTimeFormat("en-US", options).formatRange(from, to)];
      yield [`date range parts ${json(options)} ${from} ${to}`, () => parts(new Intl.DateTimeFormat("en-US", options).formatRangeToParts(from, to))];
    }
  }
  for (const options of [{ timeZone: "Mars/Olympus" }, { timeZone: "" }, { timeZone: "+25:00" }, { dateStyle: "x" }, { dateStyle: "short", year: "numeric" }, { hour: "x" }, { fractionalSecondDigits: 4 }, { fractionalSecondDigits: 0 }, { hourCycle: "h25" }, { calendar: "!" }, { calendar: "zzzz" }, { timeZoneName: "x" }, { weekday: "2-digit" }, { formatMatcher: "x" }]) {
    yield [`date refused ${json(options)}`, () => new Intl.DateTimeFormat("en-US", options).format(0)];
  }
  for (const instant of INSTANTS) {
    const date = new Date(instant);
    for (const method of ["toLocaleString", "toLocaleDateString", "toLocaleTimeString"]) {
      yield [`${method} ${instant}`, () => date[method]()];
      yield [`${method} ${instant} zone`, () => date[method]("en-US", { timeZone: "America/New_York" })];
      yield [`${method} ${instant} month`, () => date[method]("en-US", { month: "long", hour: "2-digit" })];
      yield [`${method} ${instant} weekday`, () => date[method]("en-US", { weekday: "long" })];
    }
    for (const method of ["toString", "toDateString", "toTimeString", "toUTCString", "toISOString"]) yield [`${method} ${instant}`, () => date[method]()];
  }
  for (const style of ["toLocaleDateString", "toLocaleTimeString"]) yield [`${style} dateStyle`, () => new Date(0)[style]("en-US", { dateStyle: "long" })], yield [`${style} timeStyle`, () => new Date(0)[style]("en-US", { timeStyle: "long" })];
  for (const text of ["2024-01-02", "2024-01-02T03:04", "2024-01-02T03:04:05Z", "2024-01-02T03:04:05.678+02:00", "Jan 2, 2024", "January 2, 2024 10:00 PM", "2 Jan 2024 03:04:05 GMT", "Tue, 02 Jan 2024 03:04:05 GMT", "Tue Jan 02 2024 03:04:05 GMT+0100 (CET)", "1/2/2024", "2024/01/02", "2024/01/02 03:04", "2024-01-02 03:04:05", "2024-13-01", "nonsense", "", "1/2/24", "12:00", "2024", "2024-02", "+012024-01-01T00:00:00Z", "Jan 2 2024 EST", "2024-1-2", "Mon Jan 1 2024", "20240102", "2024-01-02T03:04:05.123456789Z", "2024-01-02T24:00:00Z", "2024-02-30", "Thu, 01 Jan 1970 00:00:00 GMT+0200", "1 January 2024", "2024-01-02T03:04:05z"]) {
    yield [`Date.parse ${text}`, () => String(Date.parse(text))];
  }

  for (const type of ["cardinal", "ordinal"]) {
    const get = (options) => new Intl.PluralRules("en-US", { type, ...options });
    yield [`plural ${type} resolved`, () => sorted(get().resolvedOptions())];
    for (const options of [{}, { minimumFractionDigits: 1 }, { maximumSignificantDigits: 1 }]) {
      for (const number of [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 20, 21, 22, 23, 24, 100, 101, 111, 112, 1.0, 1.5, -1, NaN, Infinity, 1e6]) yield [`plural ${type} ${json(options)} ${number}`, () => get(options).select(number)];
    }
    for (const [from, to] of [[0, 1], [1, 2], [1, 1], [0, 0], [2, 3]]) yield [`plural ${type} range ${from} ${to}`, () => get().selectRange(from, to)];
  }
  for (const numeric of ["always", "auto"]) {
    for (const style of ["long", "short", "narrow"]) {
      const get = () => new Intl.RelativeTimeFormat("en-US", { numeric, style });
      yield [`relative ${numeric} ${style} resolved`, () => sorted(get().resolvedOptions())];
      for (const unit of [...UNITS, "days", "fortnight"]) {
        for (const amount of AMOUNTS) {
          yield [`relative ${numeric} ${style} ${unit} ${show(amount)}`, () => get().format(amount, unit)];
          yield [`relative ${numeric} ${style} ${unit} parts ${show(amount)}`, () => parts(get().formatToParts(amount, unit))];
        }
      }
    }
  }
  for (const type of ["conjunction", "disjunction", "unit"]) {
    for (const style of ["long", "short", "narrow"]) {
      const get = () => new Intl.ListFormat("en-US", { type, style });
      yield [`list ${type} ${style} resolved`, () => sorted(get().resolvedOptions())];
      for (const list of LISTS) {
        yield [`list ${type} ${style} ${json(list)}`, () => get().format(list)];
        yield [`list ${type} ${style} parts ${json(list)}`, () => parts(get().formatToParts(list))];
      }
    }
  }

  for (const options of COLLATORS) {
    let collator;
    const get = () => (collator ??= new Intl.Collator("en-US", options));
    yield [`collator ${json(options)} resolved`, () => sorted(get().resolvedOptions())];
    yield [`collator ${json(options)} sort`, () => json([...STRINGS].sort(get().compare))];
    for (const a of STRINGS) yield [`collator ${json(options)} ${json(a)}`, () => STRINGS.map((b) => get().compare(a, b)).join()];
  }
  for (const a of STRINGS) yield [`localeCompare ${json(a)}`, () => STRINGS.map((b) => a.localeCompare(b)).join()];
  yield ["localeCompare options", () => ["a".localeCompare("B", "en", { sensitivity: "base" }), "a10".localeCompare("a9", undefined, { numeric: true }), "a".localeCompare("A", "de", { sensitivity: "base" })].join()];
  for (const text of ["iIıİ", "straße", "ǆ ﬁ", "ΑΣ ΑΣΑ"]) {
    for (const locale of [undefined, "en", "tr", "lt", "el", ["az", "en"]]) yield [`case ${text} ${locale}`, () => `${text.toLocaleUpperCase(locale)} ${text.toLocaleLowerCase(locale)}`];
  }

  for (const granularity of ["grapheme", "word", "sentence"]) {
    const get = () => new Intl.Segmenter("en-US", { granularity });
    for (const text of TEXTS) {
      yield [`segment ${granularity} ${json(text)}`, () => json([...get().segment(text)].map((found) => [found.segment, found.index, found.isWordLike]))];
      yield [`segment ${granularity} containing ${json(text)}`, () => json([-1, 0, 1, 3, 7, 100].map((at) => get().segment(text).containing(at)?.segment))];
    }
  }
  for (const [type, codes] of Object.entries(CODES)) {
    for (const style of ["long", "short", "narrow"]) {
      for (const options of [{}, { fallback: "none" }, { languageDisplay: "standard" }]) {
        for (const code of codes) yield [`display ${type} ${style} ${json(options)} ${code}`, () => String(new Intl.DisplayNames("en-US", { type, style, ...options }).of(code))];
      }
    }
  }
  for (const tag of TAGS) {
    yield [`canonical ${tag}`, () => json(Intl.getCanonicalLocales(tag))];
    yield [`Locale ${tag}`, () => {
      const { baseName, language, script, region, calendar, collation, hourCycle, caseFirst, numeric, numberingSystem } = new Intl.Locale(tag);
      return json([String(new Intl.Locale(tag)), baseName, language, script, region, calendar, collation, hourCycle, caseFirst, numeric, numberingSystem]);
    }];
    yield [`Locale ${tag} max min`, () => `${new Intl.Locale(tag).maximize()} ${new Intl.Locale(tag).minimize()}`];
  }
  for (const tag of ["en", "en-GB", "en-US-u-nu-arab", "zz", "x-y"]) {
    for (const api of ["NumberFormat", "DateTimeFormat", "PluralRules", "Collator", "ListFormat", "RelativeTimeFormat", "Segmenter", "DisplayNames"]) yield [`supported ${api} ${tag}`, () => json(Intl[api].supportedLocalesOf(tag))];
  }
  for (const options of [{ region: "gb" }, { script: "cyrl" }, { language: "de", region: "AT" }, { calendar: "buddhist", numeric: true, hourCycle: "h11" }, { language: "x" }, { region: "1" }]) yield [`Locale options ${json(options)}`, () => String(new Intl.Locale("en-US", options))];
  for (const key of ["calendar", "collation", "currency", "numberingSystem", "timeZone", "unit", "x"]) yield [`supportedValuesOf ${key}`, () => json(Intl.supportedValuesOf(key))];
  for (const key of ["length", "name"]) for (const api of ["NumberFormat", "DateTimeFormat", "PluralRules", "Collator", "ListFormat", "RelativeTimeFormat", "Segmenter", "DisplayNames", "Locale", "getCanonicalLocales", "supportedValuesOf"]) yield [`Intl.${api}.${key}`, () => String(Intl[api][key])];
  yield ["Intl tag", () => String(Intl)];
  yield ["array toLocaleString", () => [1234.5, new Date(0), null, undefined, "x", 5n].toLocaleString()];
  yield ["array toLocaleString en", () => [1234.5, 0.5].toLocaleString("en", { style: "percent" })];
  yield ["typed array toLocaleString", () => new Float64Array([1234.5, 0.5]).toLocaleString("en", { style: "percent" })];
}

/** The label and text of the cases from `from` to before `to`; an exception's name where one was thrown. */
export function* answers(from = 0, to = Infinity, of = cases()) {
  let at = -1;
  for (const [label, run] of of) {
    at++;
    if (at < from) continue;
    if (at >= to) return;
    let text;
    try {
      text = run();
    } catch (error) {
      text = `throws ${error.name}`;
    }
    yield [label, text];
  }
}
