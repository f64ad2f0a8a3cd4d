import semver from "semver";

export default {
  async fetch(request) {
    return Response.json({ satisfies: semver.satisfies("1.2.3", "^1.2.0 || >=3"), inc: semver.inc("1.2.3", "minor"), sorted: semver.sort(["1.10.0", "1.9.0", "1.9.0-beta.1"]), valid: [semver.valid("v1.2"), semver.coerce("v1.2").version], range: new semver.Range("~1.2").range });
  },
};
