// A locale's names of time zones.
import { inLocale, read, supplemental, table } from "./cldr.mjs";

const { metazoneInfo } = supplemental("metaZones").metaZones;

/** The metazones, whose names zones use for a time, in the order of their numbers. */
export const metazones = [];
function collect(tree) {
  for (const value of Object.values(tree)) {
    if (!Array.isArray(value)) collect(value);
    else for (const { usesMetazone: { _mzone } } of value) if (!metazones.includes(_mzone)) metazones.push(_mzone);
  }
}
collect(metazoneInfo.timezone);
metazones.sort();

// A place whose time has no name is called by its country, if that has one zone or a main one, or else by its city.
const primary = new Set(Object.values(supplemental("primaryZones").primaryZones));
const countries = new Map();
for (const [code, entry] of Object.entries(read("cldr-bcp47/bcp47/timezone.json").keyword.u.tz)) {
  if (entry._alias === undefined || entry._deprecated !== undefined) continue;
  const country = (entry._region ?? code.slice(0, 2)).toUpperCase();
  if (code.length === 5) countries.set(entry._alias.split(" ")[0], country);
}
const zonesOf = (country) => [...countries.values()].filter((other) => other === country).length;
const isCountry = new Map([...countries].map(([zone, country]) => [zone, zonesOf(country) === 1 || primary.has(zone)]));

// CLDR writes that a name is none with this.
const NONE = "\u2205\u2205\u2205";
const nameCells = (names) =>
  ["long", "short"].flatMap((width) => ["standard", "daylight", "generic"].map((kind) => (names?.[width]?.[kind] ?? "").replace(NONE, "")));

export function zoneNames(tag) {
  const found = inLocale(tag, "cldr-dates-full", "timeZoneNames").dates.timeZoneNames;
  const { territories } = inLocale(tag, "cldr-localenames-full", "territories").localeDisplayNames;
  const ownNames = [];
  const cities = new Map();
  const collectOwn = (tree, path) => {
    for (const [key, value] of Object.entries(tree)) {
      if (typeof value !== "object") continue;
      const isZone = value._type === "zone" || value.exemplarCity !== undefined || typeof value.long === "object" || typeof value.short === "object";
      if (!isZone) {
        collectOwn(value, [...path, key]);
        continue;
      }
      const name = [...path, key].join("/");
      if (value.long !== undefined || value.short !== undefined) ownNames.push([name, ...nameCells(value)]);
      if (value.exemplarCity !== undefined) cities.set(name, value.exemplarCity);
    }
  };
  collectOwn(found.zone, []);
  const places = [];
  for (const [zone, country] of countries) {
    if (territories[country] === undefined) continue;
    const city = cities.get(zone) ?? zone.slice(zone.lastIndexOf("/") + 1).replaceAll("_", " ");
    places.push([zone, isCountry.get(zone) ? territories[country] : city]);
  }
  return {
    /** index, and long and short names: standard, daylight, generic. */
    metazones: table(metazones.map((name, at) => [String(at), ...nameCells(found.metazone[name])]).filter((row) => row.slice(1).some((cell) => cell !== ""))),
    ownNames: table(ownNames),
    places: table(places),
    region: found.regionFormat,
    /** An offset with its sign, no offset, and the hours and minutes of offsets to the east and west. */
    gmt: [found.gmtFormat, found.gmtZeroFormat, ...found.hourFormat.split(";")],
  };
}
