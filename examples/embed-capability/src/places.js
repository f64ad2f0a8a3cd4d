// A component that calls a capability of the program that runs it, by the name that wit/geo.wit gives it.
import { find, nearest } from "example:geo/places";

export default {
  /** Where a place is, and which others are next to it: `"Paris"`, or `{ latitude, longitude }`. */
  call(input) {
    const place = typeof input === "string" ? find(input) : input;
    if (place === undefined) return `${input} is not known`;
    try {
      const next = nearest(place, 3).filter(({ distance }) => distance > 0);
      return { place, next: next.map(({ name, distance }) => `${name}, ${Math.round(distance / 1000)} km`) };
    } catch (error) {
      return `refused: ${error.payload}`;
    }
  },
};
