// Replaces the deprecated subtags of locale identifiers (UTS #35, Annex C).
import data from "../../vendor/intl/locales.js";
import { hooks, lookUp } from "../support.js";
import { aliases, parseTag } from "./locale-id.js";

const find = (table, key) => lookUp(table, key)?.[0];

/** Replacements of replacements are looked for this often. */
const ROUNDS_MAX = 8;

aliases.apply = (id) => {
  for (let round = 0; round < ROUNDS_MAX && replaceOnce(id); round++);
};
aliases.extensionValue = (key, value) => find(data.extensionValues, `${key} ${value}`);

function replaceOnce(id) {
  return replaceLanguage(id) || replaceScript(id) || replaceRegion(id) || replaceVariant(id);
}

/** The language with what of the rest the rule names: the most special rule first. */
function replaceLanguage(id) {
  const { language, script, region, variants } = id;
  const rest = [["", [], false, false]];
  for (const variant of variants) rest.unshift([`-${variant}`, [variant], false, false]);
  if (variants.length > 1) rest.unshift([`-${variants.join("-")}`, variants, false, false]);
  if (region !== "") rest.push([`-${region}`, [], false, true]);
  if (script !== "") rest.push([`-${script}`, [], true, false]);
  for (const subject of [language, "und"]) {
    for (const [suffix, used, usesScript, usesRegion] of rest) {
      if (subject === "und" && used.length === 0) continue;
      const found = find(data.languages, subject + suffix);
      if (found === undefined) continue;
      // A replacement that is not a plain language identifier is for the parser of old tags only.
      const to = parseTag(found);
      if (to.language !== "und") id.language = to.language;
      if (usesScript) id.script = "";
      if (usesRegion) id.region = "";
      if (id.script === "") id.script = to.script;
      if (id.region === "") id.region = to.region;
      id.variants = [...new Set([...variants.filter((variant) => !used.includes(variant)), ...to.variants])].sort();
      return true;
    }
  }
  return false;
}

function replaceScript(id) {
  const found = id.script === "" ? undefined : find(data.scripts, id.script);
  if (found === undefined) return false;
  id.script = found;
  return true;
}

/** Of a region that has become several, the one that the language is likely spoken in. */
function replaceRegion(id) {
  const found = id.region === "" ? undefined : find(data.territories, id.region);
  if (found === undefined) return false;
  const regions = found.split(" ");
  const likely = regions.length === 1 ? undefined : likelyRegion(id.language, id.script);
  id.region = regions.includes(likely) ? likely : regions[0];
  return true;
}

function replaceVariant(id) {
  for (const variant of id.variants) {
    const found = find(data.variants, variant);
    if (found === undefined) continue;
    id.variants = [...new Set(id.variants.map((other) => (other === variant ? found : other)))].sort();
    return true;
  }
  return false;
}

const likelyRegion = (language, script) => likelySubtags(language, script, "")?.region;

/** The most likely language, script and region for what is known of them (UTS #35, "Likely Subtags"), or undefined. */
export function likelySubtags(language, script, region) {
  const tries = [];
  if (script !== "" && region !== "") tries.push([language, script, region]);
  if (script !== "") tries.push([language, script, ""]);
  if (region !== "") tries.push([language, "", region]);
  tries.push([language, "", ""]);
  if (script !== "" && language !== "und") tries.push(["und", script, ""]);
  for (const [l, s, r] of tries) {
    const found = likelyOf(l, s, r);
    if (found === undefined) continue;
    return { language: language === "und" ? found.language : language, script: script || found.script, region: region || found.region };
  }
  return undefined;
}

hooks.likelyScript = (tag) => {
  const { language, script, region } = parseTag(tag);
  const found = script || likelySubtags(language, "", region)?.script;
  return found && found[0].toUpperCase() + found.slice(1);
};

function likelyOf(language, script, region) {
  if (script === "" && region === "") {
    const at = data.likelyLanguages.indexOf(` ${language} `);
    if (at !== -1) {
      const start = data.likelyLanguages.lastIndexOf("\n", at) + 1;
      const [target] = data.likelyLanguages.slice(start, data.likelyLanguages.indexOf("\t", start)).split("\t");
      const [likelyScript, likelyRegionOf] = target.toLowerCase().split(" ");
      return { language, script: likelyScript, region: likelyRegionOf };
    }
  }
  const title = (text) => (text === "" ? "" : text[0].toUpperCase() + text.slice(1));
  const key = [language, title(script), region.toUpperCase()].filter((part) => part !== "").join("-");
  const found = find(data.likely, key)?.toLowerCase().split("-");
  return found && { language: found[0], script: found[1], region: found[2] };
}
