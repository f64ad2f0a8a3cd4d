import { worker } from "elias";

export class Cart extends worker.Worker {
  items = new Map();

  async add(name, count) {
    const sum = (this.items.get(name) ?? 0) + count;
    this.items.set(name, sum);
    if (sum < 0) throw new RangeError(`there are not so many of ${name}`);
    return [...this.items].map(([name, sum]) => `${sum} ${name}`).join(", ");
  }
}
