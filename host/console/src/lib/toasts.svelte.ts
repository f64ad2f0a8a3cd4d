// Short notices about what was done.

export interface Toast {
  id: number;
  text: string;
  tone: "good" | "bad";
}

class Toasts {
  items = $state<Toast[]>([]);
  #next = 1;

  show(text: string, tone: Toast["tone"] = "good"): void {
    const id = this.#next++;
    this.items.push({ id, text, tone });
    setTimeout(() => this.close(id), tone === "good" ? 6_000 : 12_000);
  }

  close(id: number): void {
    this.items = this.items.filter((item) => item.id !== id);
  }
}

export const toasts = new Toasts();
