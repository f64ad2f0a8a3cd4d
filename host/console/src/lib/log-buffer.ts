// The lines of a log in memory, and those of them that a filter lets through. New lines are looked at alone; a change
// of the filter looks at all.

export interface Line {
  number: number;
  at: number;
  level: string;
  text: string;
  /** The text in lower case, which is what is searched. */
  low: string;
  execution: string;
}

export const LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"] as const;

export class LogBuffer {
  readonly #most: number;
  #lines: Line[] = [];
  #matching: Line[] = [];
  #words: string[] = [];
  #least = 0;

  /** Keeps at most so many lines: a tenth of them, the oldest, goes when there are more. */
  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#lines.length;
  }

  /** The lines that the filter lets through, oldest first. The array is the buffer's own. */
  get matching(): readonly Line[] {
    return this.#matching;
  }

  add(lines: Line[]): void {
    for (const line of lines) {
      this.#lines.push(line);
      if (this.#fits(line)) this.#matching.push(line);
    }
    if (this.#lines.length <= this.#most) return;
    this.#lines = this.#lines.slice(-Math.floor(this.#most * 0.9));
    const first = this.#lines[0]?.number ?? 0;
    this.#matching = this.#matching.filter((line) => line.number >= first);
  }

  /** Lets through what has every word and at least a level. */
  filter(text: string, level: string): void {
    this.#words = text.toLowerCase().split(/\s+/).filter(Boolean);
    this.#least = LEVELS.indexOf(level as (typeof LEVELS)[number]);
    this.#matching = this.#lines.filter((line) => this.#fits(line));
  }

  clear(): void {
    this.#lines = [];
    this.#matching = [];
  }

  #fits(line: Line): boolean {
    return (
      LEVELS.indexOf(line.level as (typeof LEVELS)[number]) >= this.#least &&
      this.#words.every((word) => line.low.includes(word))
    );
  }
}
