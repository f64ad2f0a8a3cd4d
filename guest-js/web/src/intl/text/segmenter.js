// Intl.Segmenter (ECMA-402 §19), by the rules of UAX #29.
import { canonicalizeLocaleList, defineMethods, defineService, getOption, getOptionsObject, instanceOf, readMatcher, resolveLocale, stateReader } from "../support.js";
import { graphemeBoundary, sentenceBoundary, wordBoundary } from "./segmentation.js";

const states = new WeakMap();
const stateOf = stateReader("Segmenter", states);
const segmentsStates = new WeakMap();
const iteratorStates = new WeakMap();

export function Segmenter(locales = undefined, options = undefined) {
  if (new.target === undefined) throw new TypeError("Constructor Intl.Segmenter requires 'new'");
  const segmenter = instanceOf(Segmenter, new.target);
  const requested = canonicalizeLocaleList(locales);
  options = getOptionsObject(options);
  readMatcher(options);
  const { locale } = resolveLocale(requested);
  const granularity = getOption(options, "granularity", "string", ["grapheme", "word", "sentence"], "grapheme");
  states.set(segmenter, { locale, granularity });
  return segmenter;
}

/** For each granularity, a function that gives the end of the segment that begins at an index. */
const ENDS = { grapheme: graphemeBoundary, word: wordBoundary, sentence: sentenceBoundary };

/** A word holds a letter, a number or an ideograph. */
const isWordLike = (segment) => /[\p{L}\p{N}\p{Script=Hiragana}\p{Script=Katakana}]/u.test(segment) && !/^[\p{No}\p{Nl}]+$/u.test(segment);

function dataOf({ text, granularity }, index, end) {
  const segment = text.slice(index, end);
  const data = { segment, index, input: text };
  if (granularity === "word") data.isWordLike = isWordLike(segment);
  return data;
}

const segmentsPrototype = {};
defineMethods(segmentsPrototype, {
  containing(index = undefined) {
    const state = segmentsStates.get(this);
    if (state === undefined) throw new TypeError("containing called on what is not Segments");
    const at = Math.trunc(Number(index)) || 0;
    if (at < 0 || at >= state.text.length) return undefined;
    // Rules look back as far as a sentence: there is no shorter way than from the start; what was found is kept.
    while (state.ends.length === 0 || state.ends.at(-1) <= at) state.ends.push(ENDS[state.granularity](state.text, state.ends.at(-1) ?? 0));
    let low = 0;
    let high = state.ends.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (state.ends[middle] > at) high = middle;
      else low = middle + 1;
    }
    return dataOf(state, low === 0 ? 0 : state.ends[low - 1], state.ends[low]);
  },
  [Symbol.iterator]() {
    const state = segmentsStates.get(this);
    if (state === undefined) throw new TypeError("an iterator was asked of what is not Segments");
    const iterator = Object.create(iteratorPrototype);
    iteratorStates.set(iterator, { ...state, at: 0 });
    return iterator;
  },
});
Object.defineProperty(segmentsPrototype.containing, "length", { value: 1, configurable: true });

const iteratorPrototype = Object.create(Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]())));
defineMethods(iteratorPrototype, {
  next() {
    const state = iteratorStates.get(this);
    if (state === undefined) throw new TypeError("next called on what is not a Segmenter String Iterator");
    if (state.at >= state.text.length) return { value: undefined, done: true };
    const start = state.at;
    state.at = ENDS[state.granularity](state.text, start);
    return { value: dataOf(state, start, state.at), done: false };
  },
});
Object.defineProperty(iteratorPrototype, Symbol.toStringTag, { value: "Segmenter String Iterator", configurable: true });

defineService("Segmenter", Segmenter, {
  segment(text) {
    const { granularity } = stateOf(this, "segment");
    const segments = Object.create(segmentsPrototype);
    segmentsStates.set(segments, { text: `${text}`, granularity, ends: [] });
    return segments;
  },
  resolvedOptions() {
    const { locale, granularity } = stateOf(this, "resolvedOptions");
    return { locale, granularity };
  },
});
