// The IANA time zones: their offsets through history, and their names in English.
import { createRequire } from "node:module";
import { read, supplemental, table } from "./cldr.mjs";
import { metazones, zoneNames } from "./zone-names.mjs";

export const madeFrom = ["cldr-bcp47", "cldr-core", "cldr-dates-full", "cldr-localenames-full", "moment-timezone"];

const moment = createRequire(import.meta.url)("moment-timezone");
const packed = read("moment-timezone/data/packed/latest.json");
const links = new Map(packed.links.map((link) => link.split("|")).map(([target, alias]) => [alias, target]));
const unpacked = new Map(packed.zones.map((text) => moment.tz.unpack(text)).map((zone) => [zone.name, zone]));

/** CLDR's name of each zone, which is what Intl shows, and its other names. */
const named = Object.values(read("cldr-bcp47/bcp47/timezone.json").keyword.u.tz)
  .filter((entry) => entry._alias !== undefined && entry._deprecated === undefined)
  .map(({ _alias }) => _alias.split(" "));

const DAY = 86_400;
/** Transitions from here on are said by a rule, where one fits. */
const RULE_YEAR = 2030;
/** And they are looked at up to here: a cycle of the calendar's weekdays. */
const RULE_YEAR_END = 2060;
/** A period longer than this with more offset than its neighbours is a change of the standard time. */
const SUMMER_SECONDS_MAX = 300 * DAY;

const find = (names) => {
  for (const name of names) {
    const zone = unpacked.get(name) ?? unpacked.get(links.get(name));
    if (zone !== undefined) return zone;
  }
  return undefined;
};

/** Periods of a zone: `{ start, offset, summer }` in seconds; the first has no start. */
function periods(zone) {
  const list = zone.offsets.map((offset, at) => ({ start: at === 0 ? -Infinity : Math.round(zone.untils[at - 1] / 1000), offset: -Math.round(offset * 60) }));
  // What changes only the abbreviation is one period, but summer time is told apart by it.
  return list.map((period, at) => {
    const end = list[at + 1]?.start ?? Infinity;
    const before = list[at - 1]?.offset ?? period.offset;
    const after = list[at + 1]?.offset ?? period.offset;
    const short = end - period.start < SUMMER_SECONDS_MAX;
    return { ...period, summer: short && at > 0 && (period.offset > before || period.offset > after) && period.offset >= Math.min(before, after) + 1 && !(period.offset < before && period.offset < after) && isPeak(list, at) };
  });
}

/** Whether the offset of `list[at]` is more than that of the surrounding winter. */
function isPeak(list, at) {
  const { offset } = list[at];
  let low = at;
  while (low > 0 && list[low].offset >= offset) low--;
  let high = at;
  while (high < list.length - 1 && list[high].offset >= offset) high++;
  const year = 400 * DAY;
  return list[low].offset < offset && list[high].offset < offset && list[at].start - (list[low + 1]?.start ?? 0) < year && (list[high].start ?? 0) - list[at].start < year;
}

/** The rule that the local times of the transitions of many years have in common: month, first day, weekday, time (up to two days). */
function rule(transitions) {
  // Midnight that ends a day can lie in the next month: then it is said as hour 24 of that day.
  for (const back of [0, DAY]) {
    const local = transitions.map(({ start, before }) => new Date((start + before - back) * 1000));
    const month = local[0].getUTCMonth();
    const weekday = local[0].getUTCDay();
    const seconds = (date) => date.getUTCHours() * 3600 + date.getUTCMinutes() * 60 + date.getUTCSeconds();
    const days = local.map((date) => date.getUTCDate());
    const alike = local.every((date) => date.getUTCMonth() === month && date.getUTCDay() === weekday && seconds(date) === seconds(local[0]));
    if (alike && Math.max(...days) - Math.min(...days) <= 6) return [month, Math.min(...days), weekday, seconds(local[0]) + back];
  }
  return undefined;
}

function ruleOf(list) {
  const late = [];
  list.forEach((period, at) => {
    const year = new Date(period.start * 1000).getUTCFullYear();
    if (at > 0 && year >= RULE_YEAR && year < RULE_YEAR_END) late.push({ ...period, before: list[at - 1].offset });
  });
  if (late.length < 2 * (RULE_YEAR_END - RULE_YEAR)) return undefined;
  const offsets = [...new Set(late.map(({ offset }) => offset))];
  if (offsets.length !== 2) return undefined;
  const [winter, summer] = offsets.sort((a, b) => a - b);
  const toSummer = rule(late.filter(({ offset }) => offset === summer));
  const toWinter = rule(late.filter(({ offset }) => offset === winter));
  return toSummer && toWinter && { winter, summer, toSummer, toWinter };
}

/**
 * A zone as text: its offsets (seconds, base 36, * for summer time), which of them holds in each period (a character each), when
 * each begins (seconds to the one before, in quarter hours unless there is a dot before), and the rule that goes on from there.
 */
function pack(zone) {
  let list = periods(zone);
  const found = ruleOf(list);
  if (found !== undefined) list = list.filter(({ start }) => start === -Infinity || new Date(start * 1000).getUTCFullYear() < RULE_YEAR);
  else list = list.filter(({ start }) => start === -Infinity || new Date(start * 1000).getUTCFullYear() < 2100);
  list = list.filter((period, at) => at === 0 || period.offset !== list[at - 1].offset || period.summer !== list[at - 1].summer);
  const kinds = [];
  let indices = "";
  const starts = [];
  let last = 0;
  for (const { start, offset, summer } of list) {
    const kind = offset.toString(36) + (summer ? "*" : "");
    if (!kinds.includes(kind)) kinds.push(kind);
    indices += kinds.indexOf(kind).toString(36);
    if (start === -Infinity) continue;
    const delta = start - last;
    starts.push(delta % 900 === 0 && starts.length > 0 ? (delta / 900).toString(36) : `.${delta.toString(36)}`);
    last = start;
  }
  const rules = found === undefined ? "" : [found.winter, found.summer, ...found.toSummer, ...found.toWinter].map((number) => number.toString(36)).join(" ");
  return [kinds.join(" "), indices, starts.join(" "), rules];
}

const rows = [];
const aliases = [];
const same = new Map();
for (const names of named) {
  const zone = find(names);
  if (zone === undefined) continue;
  const [canonical, ...others] = names;
  const cells = pack(zone);
  const key = cells.join("|");
  // Zones that were always alike share a line.
  rows.push(same.has(key) ? [canonical, `=${same.get(key)}`] : [canonical, ...cells]);
  if (!same.has(key)) same.set(key, canonical);
  for (const other of others) aliases.push([other, canonical]);
}
const known = new Set([...rows.map(([name]) => name), ...aliases.map(([name]) => name)]);
for (const [alias, target] of links) {
  if (known.has(alias)) continue;
  const canonical = rows.some(([name]) => name === target) ? target : aliases.find(([name]) => name === target)?.[1];
  if (canonical !== undefined) aliases.push([alias, canonical]);
}

// Names. A zone uses the names of a metazone, for a time.
const { metazoneInfo } = supplemental("metaZones").metaZones;
const uses = [];
function collectUses(tree, path) {
  for (const [key, value] of Object.entries(tree)) {
    if (!Array.isArray(value)) {
      collectUses(value, [...path, key]);
      continue;
    }
    const name = [...path, key].join("/");
    // Dates without a zone are in UTC.
    const seconds = (text) => (text === undefined ? "" : (Date.parse(`${text.replace(" ", "T")}Z`) / 60_000).toString(36));
    const cells = value.map(({ usesMetazone: { _mzone, _from, _to } }) => `${metazones.indexOf(_mzone)},${seconds(_from)},${seconds(_to)}`);
    uses.push([name, ...cells]);
  }
}
collectUses(metazoneInfo.timezone, []);

export default {
  /** The version of the IANA database. */
  version: packed.version,
  zones: table(rows),
  aliases: table(aliases),
  /** zone, and for each metazone that it uses: index, from, to (minutes since 1970, base 36). */
  uses: table(uses),
  ...zoneNames("en"),
};
