// Replacements of deprecated subtags of locale identifiers, and likely subtags.
import { read, supplemental, table } from "./cldr.mjs";

export const madeFrom = ["cldr-bcp47", "cldr-core"];

const { languageAlias, scriptAlias, territoryAlias, variantAlias, subdivisionAlias } = supplemental("aliases").metadata.alias;
const rows = (aliases) => table(Object.entries(aliases).map(([from, { _replacement }]) => [from.toLowerCase(), _replacement.toLowerCase()]));

const extensionValues = [];
for (const file of ["calendar", "collation", "measure", "number", "segmentation", "timezone"]) {
  const { u } = read(`cldr-bcp47/bcp47/${file}.json`).keyword;
  for (const [key, types] of Object.entries(u)) {
    for (const [value, entry] of Object.entries(types)) {
      if (typeof entry !== "object") continue;
      if (entry._preferred !== undefined) extensionValues.push([`${key} ${value}`, entry._preferred]);
      for (const alias of entry._preferred === undefined && entry._alias !== undefined && key !== "tz" ? entry._alias.split(" ") : []) {
        if (/^[a-z0-9]{3,8}(-[a-z0-9]{3,8})*$/.test(alias) && alias !== value) extensionValues.push([`${key} ${alias}`, value]);
      }
    }
  }
}
const transforms = read("cldr-bcp47/bcp47/transform-destination.json").keyword.t ?? {};
for (const [key, types] of Object.entries(transforms)) {
  for (const [value, entry] of Object.entries(types)) if (typeof entry === "object" && entry._preferred !== undefined) extensionValues.push([`${key} ${value}`, entry._preferred]);
}
for (const [key, { _replacement }] of Object.entries(subdivisionAlias)) {
  const to = _replacement.split(" ")[0].toLowerCase();
  for (const name of ["rg", "sd"]) extensionValues.push([`${name} ${key}`, /^[a-z]{2}$/.test(to) ? `${to}zzzz` : to]);
}

// Languages by what they most likely are written in and where: most stand alone.
const byTarget = new Map();
const others = [];
for (const [from, to] of Object.entries(supplemental("likelySubtags").likelySubtags)) {
  const [language, script, region] = to.split("-");
  if (from === language) {
    const key = `${script} ${region}`;
    byTarget.set(key, `${byTarget.get(key) ?? ""} ${from}`);
  } else {
    others.push([from, to]);
  }
}

// Weeks: of the regions that differ from the world's, the first day and the weekend (1 is Monday).
const { firstDay, weekendStart, weekendEnd, minDays } = supplemental("weekData").weekData;
const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const dayOf = (days, region) => DAYS.indexOf(days[region] ?? days["001"]) + 1;
const weeks = [];
for (const region of new Set([firstDay, weekendStart, weekendEnd].flatMap((days) => Object.keys(days)).filter((key) => /^[A-Z]{2}$/.test(key)))) {
  const [from, to] = [dayOf(weekendStart, region), dayOf(weekendEnd, region)];
  weeks.push([region, String(dayOf(firstDay, region)), from === to ? `${from}` : `${from}${to}`]);
}

export default {
  weeks: table(weeks),
  fourDays: ` ${Object.keys(minDays).filter((region) => minDays[region] === "4").join(" ")} `,
  languages: rows(languageAlias),
  scripts: rows(scriptAlias),
  territories: rows(territoryAlias),
  variants: rows(variantAlias),
  extensionValues: table(extensionValues),
  /** script and region, and the languages that they are likely for. */
  likelyLanguages: table([...byTarget].map(([key, languages]) => [key, `${languages} `])),
  likely: table(others),
};
