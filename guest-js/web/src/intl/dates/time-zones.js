// The IANA time zones: offsets through history, and names.
import { registry } from "../../internal/registry.js";
import data from "../../vendor/intl/zones.js";
import { lookUp } from "../support.js";
import { gmt, UTC } from "./time-zone.js";

/** For each zone its line of the table, and its name for each in lower case, aliases too. */
const lines = new Map();
const canonicalNames = new Map();
for (const line of data.zones.split("\n").slice(1)) {
  const [name, ...cells] = line.split("\t");
  lines.set(name, cells.join("\t"));
  canonicalNames.set(name.toLowerCase(), name);
}
for (const line of data.aliases.split("\n").slice(1)) {
  const [alias, name] = line.split("\t");
  canonicalNames.set(alias.toLowerCase(), name);
}
// The image keeps what is made of them.
Object.assign(data, { zones: "", aliases: "" });

const zones = new Map();

/** Names of zones are at most this long; what is longer is none, and is not looked for. */
const NAME_LENGTH_MAX = 64;

function find(name) {
  let zone = zones.get(name);
  if (zone !== undefined) return zone;
  if (name.length > NAME_LENGTH_MAX) return undefined;
  const canonical = canonicalNames.get(name.toLowerCase());
  if (canonical === undefined) return undefined;
  if (canonical === "Etc/UTC" || canonical === "Etc/GMT") return UTC;
  zone = zones.get(canonical) ?? makeZone(canonical);
  zones.set(canonical, zone);
  if (zones.size < 1000) zones.set(name, zone);
  return zone;
}

registry.findTimeZone = find;
registry.timeZoneNames = () =>
  ["UTC", ...[...lines.keys()].filter((name) => !name.startsWith("Etc/"))].sort();

function makeZone(id) {
  let line = lines.get(id);
  if (line.startsWith("=")) line = lines.get(line.slice(1));
  const [kindsText, indices, startsText, ruleText] = line.split("\t");
  const kinds = kindsText.split(" ").map((text) => ({ offset: parseInt(text, 36), summer: text.endsWith("*") }));
  const starts = [];
  let last = 0;
  for (const text of startsText === "" ? [] : startsText.split(" ")) {
    last += text[0] === "." ? parseInt(text.slice(1), 36) : parseInt(text, 36) * 900;
    starts.push(last);
  }
  const rule = ruleText === "" ? undefined : readRule(ruleText);
  const at = (seconds) => {
    if (rule !== undefined && seconds >= last) return rule(seconds);
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (starts[middle] <= seconds) low = middle + 1;
      else high = middle;
    }
    return kinds[parseInt(indices[low], 36)];
  };
  return { id, at, name: (style, seconds, names) => nameOf(id, at, style, seconds, names) };
}

/** The rule by which a zone changes between summer and winter every year. */
function readRule(text) {
  const numbers = text.split(" ").map((number) => parseInt(number, 36));
  const winter = { offset: numbers[0], summer: false };
  const summer = { offset: numbers[1], summer: true };
  // A local time: the first such weekday of the month on or after a day.
  const instant = (year, [month, day, weekday, time], offset) => {
    const first = new Date(Date.UTC(2000, month, day));
    first.setUTCFullYear(year);
    const date = first.getTime() / 1000;
    return date + ((weekday - first.getUTCDay() + 7) % 7) * 86400 + time - offset;
  };
  return (seconds) => {
    const year = new Date(seconds * 1000).getUTCFullYear();
    const toSummer = instant(year, numbers.slice(2, 6), winter.offset);
    const toWinter = instant(year, numbers.slice(6, 10), summer.offset);
    if (toSummer < toWinter) return seconds >= toSummer && seconds < toWinter ? summer : winter;
    return seconds >= toWinter && seconds < toSummer ? winter : summer;
  };
}

/** CLDR's metazones begin in 1970 and end with the year 9999 (seconds). */
const METAZONES_END = 253_402_300_800;

/** The metazone, whose names a zone has at a time: its cells, or undefined. */
function metazoneOf(id, seconds, names) {
  if (seconds < 0 || seconds >= METAZONES_END) return undefined;
  const minutes = seconds / 60;
  for (const use of lookUp(data.uses, id) ?? []) {
    const [index, from, to] = use.split(",");
    if ((from === "" || minutes >= parseInt(from, 36)) && (to === "" || minutes < parseInt(to, 36))) return lookUp(names.metazones, index);
  }
  return undefined;
}

function nameOf(id, at, style, seconds, own) {
  const names = own ?? data;
  const { offset, summer } = at(seconds);
  const long = style.startsWith("long");
  if (style.endsWith("Offset")) return gmt(offset, long, own);
  const ofZone = lookUp(names.ownNames, id);
  const shared = metazoneOf(id, seconds, names);
  // Cells: long standard, daylight, generic, short standard, daylight, generic.
  const pick = (kind) => ofZone?.[(long ? 0 : 3) + kind] || shared?.[(long ? 0 : 3) + kind];
  if (!style.endsWith("Generic")) return pick(summer ? 1 : 0) || gmt(offset, long, own);
  const generic = isWithoutSummer(at, seconds) ? pick(0) || pick(2) : pick(2);
  if (generic) return generic;
  const [place] = lookUp(names.places, id) ?? [];
  return place === undefined ? gmt(offset, long, own) : names.region.replace("{0}", () => place);
}

/** Whether there is no summer time within half a year: then the standard time's name is the general one. */
function isWithoutSummer(at, seconds) {
  for (let days = -184; days <= 184; days += 23) if (at(seconds + days * 86_400).summer) return false;
  return true;
}
